"""AlignCap listens to speech and describes, in natural language, the emotion it hears."""
