"""Cards: what a checkpoint or a corpus is, as Markdown that the Hugging Face Hub understands."""
