"""FLUX.1's steps in PyTorch, over random weights in bfloat16, on the first card.

    python flux.py false    1024×1024 with 0, 4 and 8 entities, eager and compiled
    python flux.py true     two narrow blocks at 128×128, to see that it works

Prints a row of the table a line, as JSON. reference.py, beside it, has the network.
"""

import json
import statistics
import sys
import time


def tell(what, result):
    print(json.dumps({"part": "PyTorch", "what": what, "result": result}), flush=True)


try:
    import torch
    import torch.nn.functional as F
except ImportError as e:
    tell("steps", f"not installed: {e}")
    sys.exit(0)

import reference

reference.torch, reference.F = torch, F
SMALL = sys.argv[1] == "true"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
CONFIG = {"Dim": 3072, "Heads": 24, "Axes": [16, 56, 56], "Double": 19, "Single": 38, "Guidance": True}
SIDE, TEXT, AREA = 64, 512, 0.15
if SMALL:
    CONFIG |= {"Double": 1, "Single": 1, "Dim": 384, "Heads": 3}
    SIDE, TEXT = 8, 32


class Flux(reference.Plain):
    """The plain network in bfloat16: what it makes in float32 is rounded before it meets the rest."""

    def rotate(self, x):
        return super().rotate(x).to(x.dtype)

    @staticmethod
    def sinusoid(t):
        return reference.Plain.sinusoid(t).bfloat16()


def weights():
    d, made = CONFIG["Dim"], {}

    def linear(name, out, into):
        made[name + ".weight"] = torch.randn(out, into, dtype=torch.bfloat16) / into**0.5
        made[name + ".bias"] = torch.zeros(out, dtype=torch.bfloat16)

    for name, into in ("time_in", 256), ("guidance_in", 256), ("vector_in", 768):
        linear(name + ".in_layer", d, into)
        linear(name + ".out_layer", d, d)
    linear("img_in", d, 64)
    linear("txt_in", d, 4096)
    blocks = [f"double_blocks.{i}.{s}_" for i in range(CONFIG["Double"]) for s in ("img", "txt")]
    for b in blocks:
        linear(b + "mod.lin", 6 * d, d)
        linear(b + "attn.qkv", 3 * d, d)
        linear(b + "attn.proj", d, d)
        linear(b + "mlp.0", 4 * d, d)
        linear(b + "mlp.2", d, 4 * d)
    singles = [f"single_blocks.{i}." for i in range(CONFIG["Single"])]
    for b in singles:
        linear(b + "modulation.lin", 3 * d, d)
        linear(b + "linear1", 7 * d, d)
        linear(b + "linear2", d, 5 * d)
    for b in [b + "attn." for b in blocks] + singles:
        for n in "query", "key":
            made[f"{b}norm.{n}_norm.scale"] = torch.ones(d // CONFIG["Heads"], dtype=torch.bfloat16)
    linear("final_layer.adaLN_modulation.1", 2 * d, d)
    linear("final_layer.linear", 64, d)
    return made


def inputs(n):
    half = torch.bfloat16
    made = {"latents": torch.randn(1, 16, 2 * SIDE, 2 * SIDE, dtype=half), "txt": torch.randn(1, TEXT, 4096, dtype=half),
            "vec": torch.randn(1, 768, dtype=half), "guidance": torch.full((1,), 3.5)}
    if n:
        size = int(AREA * SIDE * SIDE)
        members = torch.zeros(1, n, SIDE * SIDE)
        for i in range(n):
            start = i * (SIDE * SIDE - size) // max(1, n - 1)
            members[:, i, start : start + size] = 1
        made |= {"entities": torch.randn(1, n, TEXT, 4096, dtype=half), "members": members}
    return made


def wait():
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def measure(what, step, latents):
    sigma = torch.full((1,), 500.0)
    try:
        with torch.inference_mode():
            began = time.perf_counter()
            step(latents, sigma)
            wait()
            first, times = time.perf_counter() - began, []
            for _ in range(5):
                began = time.perf_counter()
                step(latents, sigma)
                wait()
                times.append(1000 * (time.perf_counter() - began))
    except Exception as e:  # what a machine lacks is a result too
        tell(what, f"failed: {str(e).splitlines()[0] if str(e) else type(e).__name__}")
        return
    memory = f", peak memory {torch.cuda.max_memory_allocated() >> 20} MiB" if DEVICE == "cuda" else ""
    tell(what, f"{statistics.median(times):.1f} ms ({min(times):.1f}–{max(times):.1f}), the first {first:.1f} s{memory}")


tell("version", f"PyTorch {torch.__version__} on {torch.cuda.get_device_name() if DEVICE == 'cuda' else 'processors'}")
torch.set_default_device(DEVICE)
torch.manual_seed(1)
shared = weights()
for n in (0, 4, 8):
    given = inputs(n)
    model = Flux(CONFIG, shared, given)
    measure(f"{n} entities under a mask, eager: a step" if n else "no entities, eager: a step", model.velocity, given["latents"])
for n in (0, 4, 8):
    given = inputs(n)
    compiled = torch.compile(Flux(CONFIG, shared, given).velocity, dynamic=False)
    measure(f"{n} entities, torch.compile: a step" if n else "no entities, torch.compile: a step", compiled, given["latents"])
