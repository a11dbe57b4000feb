"""Looking at held-out pairs while the policy trains: what it makes of them, what it writes, and when to stop."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from aligncap.clues.words import BASIC_DIMENSIONS
from aligncap.evaluation.hallucination import evidence_of, judge
from aligncap.evaluation.hallucination.finding import OMISSION
from aligncap.metrics import diversity, tokenize
from aligncap.model import AlignCapProcessor
from aligncap.model.bridge import embedding_count
from aligncap.training.data import pad_states
from aligncap.training.pair_data import PairBatch, PairExample
from aligncap.training.policy import Policy
from aligncap.training.progress import is_main_process, say
from aligncap.training.recipe import PreferStage

__all__ = ["HeldOut"]

LOG = "held_out.json"
_MAX_NEW_TOKENS = 64
_BATCH = 16


class HeldOut(TrainerCallback):
    """Looks at the held-out pairs before the first step and every ``eval_every`` steps; see `PreferStage`.

    Each look is an entry of ``held_out.json``: the figures of `Policy` over the pairs, and of the captions that the
    policy writes greedily ``words`` (mean), ``distinct_2``, and the shares with a finding: ``factuality`` and
    ``faithfulness``.

    Args:
        policy: that trains.
        processor: the model's.
        batch: all pairs of the run.
        places: of the held-out ones.
        stage: see `PreferStage`.
        folder: of the stage.
    """

    def __init__(
        self,
        policy: Policy,
        processor: AlignCapProcessor,
        batch: PairBatch,
        places: Sequence[int],
        stage: PreferStage,
        folder: Path,
    ) -> None:
        self.policy = policy
        self.processor = processor
        self.batch = batch
        self.places = list(places)[: stage.eval_pairs]
        self.stage = stage
        self.path = folder / LOG
        prompts = {(pair.id, pair.instruction): place for place, pair in self._pairs()}
        self.prompts = list(prompts.values())[: stage.eval_captions]
        self.log: list[dict[str, float]] = []

    def _pairs(self) -> list[tuple[int, Any]]:
        return [(place, self.batch.pairs.pairs[place]) for place in self.places]

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """The first look; those of a run that goes on are kept."""
        if not self.places:
            return
        if self.path.exists():
            found: list[dict[str, float]] = json.loads(self.path.read_text())
            self.log = [entry for entry in found if entry["step"] <= state.global_step]
        if state.global_step == 0:
            self.log = []
        if not self.log:
            self._look(state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Look, and stop where the policy gets worse at what was good."""
        due = state.global_step % self.stage.eval_every == 0 or state.global_step == state.max_steps
        if not (self.places and due):
            return
        reason = self._problem(self._look(state.global_step))
        if reason and state.global_step < state.max_steps:
            say(f"prefer: stopped after step {state.global_step}: {reason}")
            control.should_save = control.should_training_stop = True

    def _problem(self, entry: dict[str, float]) -> str | None:
        first = self.log[0]
        if -entry["chosen_change"] > self.stage.max_chosen_drop:
            return (
                f"the held-out chosen captions lost {-entry['chosen_change']:.3f} nats per token "
                f"(prefer.max_chosen_drop is {self.stage.max_chosen_drop})"
            )
        if entry.get("distinct_2", 1.0) < self.stage.min_distinct * first.get("distinct_2", 0.0):
            return (
                f"distinct-2 of the captions written fell from {first['distinct_2']:.3f} to {entry['distinct_2']:.3f} "
                f"(prefer.min_distinct is {self.stage.min_distinct})"
            )
        return None

    @torch.no_grad()
    def _look(self, step: int) -> dict[str, float]:
        training = self.policy.training
        self.policy.eval()
        try:
            entry = {"step": float(step), **self._figures(), **self._written()}
        finally:
            self.policy.train(training)
        self.log.append(entry)
        if is_main_process():
            part = self.path.with_name(f"{LOG}.part")
            part.write_text(json.dumps(self.log, indent=1) + "\n")
            part.replace(self.path)
        return entry

    def _figures(self) -> dict[str, float]:
        sums: dict[str, float] = {}
        for start in range(0, len(self.places), _BATCH):
            examples = [PairExample(0, place) for place in self.places[start : start + _BATCH]]
            inputs = {name: value for name, value in self.batch(examples).items() if isinstance(value, torch.Tensor)}
            for name, value in self.policy(**self._here(inputs)).items():
                sums[name] = sums.get(name, 0.0) + float(value)
        return {name: value / len(self.places) for name, value in sums.items() if "/" not in name}

    def _written(self) -> dict[str, float]:
        captions = [text for start in range(0, len(self.prompts), _BATCH) for text in self._write(start)]
        if not captions:
            return {}
        counts = {"factuality": 0, "faithfulness": 0}
        for place, caption in zip(self.prompts, captions, strict=True):
            pair, row = self.batch.pairs.pairs[place], self.batch.pairs.rows[place]
            data = self.batch.pairs.data
            evidence = evidence_of(data.clips[row].row, data.voice[row], pair.instruction)
            findings = judge(caption, replace(evidence, measured=BASIC_DIMENSIONS))
            for kind in {one.kind for one in findings if one.type != OMISSION}:
                counts[kind] += 1
        words = sum(len(caption.split()) for caption in captions) / len(captions)
        shares = {kind: count / len(captions) for kind, count in counts.items()}
        return {"words": words, "distinct_2": diversity(tokenize(captions))["distinct2"].corpus, **shares}

    def _write(self, start: int) -> list[str]:
        places = self.prompts[start : start + _BATCH]
        pairs = [self.batch.pairs.pairs[place] for place in places]
        heard = [self.batch.pairs.data.states[self.batch.pairs.rows[place]] for place in places]
        states, mask = pad_states(heard)
        counts = [embedding_count(self.processor.config.bridge_config, len(item)) for item in heard]
        prompts = self.processor.prompts(counts, [pair.instruction for pair in pairs], [pair.clues for pair in pairs])
        inputs = self._here({"states": states, "mask": mask, **prompts})
        speech = self.policy.model.hear_states(inputs.pop("states"), inputs.pop("mask"))
        tokens = self.policy.model.generate(
            inputs["input_ids"],
            inputs["attention_mask"],
            speech=speech,
            max_new_tokens=_MAX_NEW_TOKENS,
            do_sample=False,
        )
        return self.processor.batch_decode(tokens, skip_special_tokens=True)

    def _here(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        device = self.policy.model.device
        return {name: value.to(device) for name, value in inputs.items()}
