"""Tokens a second of llama.cpp, in a process of its own (its threads and PyTorch's do not get on); used by `peers.py`.

    python benchmarks/llama_cpp_speed.py MODEL.gguf GIVEN.json THREADS RUNS SCORES.npy

GIVEN.json: ``{"prompt": tokens, "response": tokens}``. Printed: JSON, the rates of each run.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np


def main() -> None:
    """Run the benchmark."""
    path, given, threads, runs, out = sys.argv[1:]
    tokens = json.loads(Path(given).read_text())
    usual = llama_cpp.llama_model_default_params

    def without_amx() -> Any:
        """Version 0.3.36 crashes on Q8_0 in AMX's own layout of weights; AVX-512 and its dot products are used."""
        params = usual()
        params.use_extra_bufts = False
        return params

    llama_cpp.llama_cpp.llama_model_default_params = llama_cpp.llama_model_default_params = without_amx
    llama = llama_cpp.Llama(
        path, n_ctx=512, n_batch=512, n_threads=int(threads), n_threads_batch=int(threads), verbose=False
    )

    def scores() -> Any:
        return np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(llama._ctx.ctx, -1), shape=(llama.n_vocab(),))

    writes, reads = [], []
    for number in range(int(runs) + 1):
        llama.reset()
        start = time.perf_counter()
        llama.eval(tokens["prompt"])
        middle = time.perf_counter()
        if not number:
            np.save(out, scores())
        for token in tokens["response"]:
            llama.eval([token])
            scores().argmax()
        end = time.perf_counter()
        if number:
            writes.append(len(tokens["response"]) / (end - middle))
            reads.append(len(tokens["prompt"]) / (middle - start))
    print(json.dumps({"write": writes, "read": reads}))


if __name__ == "__main__":
    main()
