"""Writes goldens/formats: weights in layouts that users have, and the numbers they mean.

    python formats.py    # with torch, safetensors, numpy and gguf from PyPI

Files are written by the libraries that write such files, and numbers are what these libraries make of them.
"""
import hashlib
import json
import pathlib

import gguf
import numpy as np
import torch
from safetensors.torch import save_file

OUT = pathlib.Path(__file__).parent / "goldens" / "formats"
rng = np.random.default_rng(20261130)
FP8 = torch.float8_e4m3fn


def transformer(dim, double, single, text, pooled):
    w = {}

    def linear(name, fan_in, fan_out):
        w[name + ".weight"], w[name + ".bias"] = (fan_out, fan_in), (fan_out,)

    linear("img_in", 64, dim), linear("txt_in", text, dim)
    for name, n in ("time_in", 256), ("guidance_in", 256), ("vector_in", pooled):
        linear(name + ".in_layer", n, dim), linear(name + ".out_layer", dim, dim)
    for i in range(double):
        for s in "img", "txt":
            b = f"double_blocks.{i}.{s}"
            linear(b + "_mod.lin", dim, 6 * dim), linear(b + "_attn.qkv", dim, 3 * dim), linear(b + "_attn.proj", dim, dim)
            linear(b + "_mlp.0", dim, 4 * dim), linear(b + "_mlp.2", 4 * dim, dim)
            w[b + "_attn.norm.query_norm.scale"] = w[b + "_attn.norm.key_norm.scale"] = (dim // 2,)
    for i in range(single):
        b = f"single_blocks.{i}"
        linear(b + ".modulation.lin", dim, 3 * dim), linear(b + ".linear1", dim, 7 * dim), linear(b + ".linear2", 5 * dim, dim)
        w[b + ".norm.query_norm.scale"] = w[b + ".norm.key_norm.scale"] = (dim // 2,)
    linear("final_layer.adaLN_modulation.1", dim, 2 * dim), linear("final_layer.linear", dim, 64)
    dims = {"dim": dim, "heads": 2, "axes": {16: [2, 2, 4], 32: [4, 6, 6]}[dim], "n_double": double, "n_single": single,
            "text_dim": text, "pooled_dim": pooled, "guidance": True}
    return fill(w), dims


def t5(dim, ff, heads, kv, layers, vocab):
    w = {"shared.weight": (vocab, dim), "encoder.final_layer_norm.weight": (dim,),
         "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": (32, heads)}
    for i in range(layers):
        a, f = f"encoder.block.{i}.layer.0", f"encoder.block.{i}.layer.1"
        for n in "qkv":
            w[f"{a}.SelfAttention.{n}.weight"] = (heads * kv, dim)
        w[f"{a}.SelfAttention.o.weight"] = (dim, heads * kv)
        w[f"{f}.DenseReluDense.wi_0.weight"] = w[f"{f}.DenseReluDense.wi_1.weight"] = (ff, dim)
        w[f"{f}.DenseReluDense.wo.weight"] = (dim, ff)
        w[f"{a}.layer_norm.weight"] = w[f"{f}.layer_norm.weight"] = (dim,)
    return fill(w), {"d_model": dim, "d_ff": ff, "d_kv": kv, "heads": heads, "layers": layers, "vocab": vocab}


def clip(dim, ff, layers, vocab):
    w = {"text_model.embeddings.token_embedding.weight": (vocab, dim), "text_model.embeddings.position_embedding.weight": (77, dim)}
    for n in "weight", "bias":
        w["text_model.final_layer_norm." + n] = (dim,)
        for i in range(layers):
            b = f"text_model.encoder.layers.{i}."
            for p in "q", "k", "v", "out":
                w[f"{b}self_attn.{p}_proj.{n}"] = (dim, dim) if n == "weight" else (dim,)
            w[f"{b}mlp.fc1.{n}"] = (ff, dim) if n == "weight" else (ff,)
            w[f"{b}mlp.fc2.{n}"] = (dim, ff) if n == "weight" else (dim,)
            w[f"{b}layer_norm1.{n}"] = w[f"{b}layer_norm2.{n}"] = (dim,)
    return fill(w), {"dim": dim, "heads": 2, "layers": layers, "ff": ff, "vocab": vocab}


def fill(shapes):
    return {n: torch.from_numpy(rng.standard_normal(s).astype(np.float32) * 0.3) for n, s in shapes.items()}


def is_matrix(name, x):
    return x.dim() == 2 and ("block" in name or "layers." in name) and "relative" not in name


def scaled(weights, spelling, prefix=""):
    """ComfyUI's scaled fp8: the file, and the numbers it means."""
    file, want = {prefix + "scaled_fp8": torch.zeros(2, dtype=FP8)} if spelling == "scale_weight" else {}, {}
    for n, x in weights.items():
        if not is_matrix(n, x):
            file[prefix + n] = x.to(torch.bfloat16)
            want[n] = file[prefix + n].float()
            continue
        scale = (x.abs().max() / 448).reshape([1] if spelling == "scale_weight" else [])
        q = (x / scale).to(FP8)
        file[prefix + n], want[n] = q, q.float() * scale
        file[prefix + n.removesuffix("weight") + spelling] = scale
    return file, want


def int8_rows(weights):
    file, want, layers = {}, {}, {}
    for n, x in weights.items():
        if not is_matrix(n, x):
            file[n] = want[n] = x
            continue
        scale = x.abs().amax(dim=1, keepdim=True) / 127
        q = (x / scale).round().to(torch.int8)
        file[n], file[n.removesuffix("weight") + "weight_scale"], want[n] = q, scale, q.float() * scale
        layers[n.removesuffix(".weight")] = {"format": "int8_tensorwise"}
    return file, want, {"_quantization_metadata": json.dumps({"format_version": "1.0", "layers": layers})}


def nested_nf4(weights, quantised=None, block=64, nested=4):
    levels = torch.tensor(np.sort(rng.uniform(-1, 1, 16)).astype(np.float32))
    bytes_of = torch.tensor(np.sort(rng.uniform(-1, 1, 256)).astype(np.float32))
    file, want = {}, {}
    for n, x in weights.items():
        if not (quantised or is_matrix)(n, x):
            file[n] = x.half()
            want[n] = file[n].float()
            continue
        codes = torch.from_numpy(rng.integers(0, 16, x.numel()).astype(np.uint8))
        blocks = -(-x.numel() // block)
        absmax = torch.from_numpy(rng.integers(0, 256, blocks).astype(np.uint8))
        outer = torch.from_numpy(rng.uniform(0.1, 1, -(-blocks // nested)).astype(np.float32))
        offset = float(np.float32(rng.uniform(0.1, 0.3)))
        scales = bytes_of[absmax.long()] * outer.repeat_interleave(nested)[:blocks] + torch.tensor(offset, dtype=torch.float32)
        want[n] = (levels[codes.long()] * scales.repeat_interleave(block)[: x.numel()]).reshape(x.shape)
        state = {"quant_type": "nf4", "blocksize": block, "dtype": "bfloat16", "shape": list(x.shape), "nested_blocksize": nested,
                 "nested_dtype": "float32", "nested_offset": offset}
        file |= {n: (codes[0::2] << 4 | codes[1::2]).reshape(-1, 1), n + ".absmax": absmax, n + ".quant_map": levels.clone(),
                 n + ".nested_absmax": outer, n + ".nested_quant_map": bytes_of.clone(),
                 n + ".quant_state.bitsandbytes__nf4": torch.tensor(list(json.dumps(state).encode()), dtype=torch.uint8)}
    return file, want


def write_gguf(path, weights, types, architecture, prefix=""):
    w, want = gguf.GGUFWriter(path, architecture), {}
    w.add_array("tokenizer.words", ["a", "b"])
    w.add_array("some.numbers", list(range(40)))
    if not architecture:
        w.kv_data[0].pop("general.architecture", None)
    for i, (n, x) in enumerate(weights.items()):
        kind = gguf.GGMLQuantizationType.F32
        if is_matrix(n, x):
            kind = types[i % len(types)]
        data = gguf.quantize(x.numpy(), kind)
        want[n] = torch.from_numpy(np.ascontiguousarray(gguf.dequantize(data, kind).reshape(x.shape)))
        w.add_tensor(prefix + n, data, raw_dtype=kind)
    w.write_header_to_file(), w.write_kv_data_to_file(), w.write_tensors_to_file(), w.close()
    return want


def diffusers(weights):
    """Black Forest Labs' tensors under diffusers' names, and how they are put together again."""
    out, back = {}, {}

    def put(bfl, *parts, swap=False):
        for end in ".weight", ".bias":
            x = weights[bfl + end]
            if swap:
                x = torch.cat(x.chunk(2)[::-1])
            sizes = [x.shape[0]] if len(parts) == 1 else [weights["img_in.bias"].shape[0]] * 3
            sizes += [x.shape[0] - sum(sizes)] * (len(parts) == 4)
            for p, y in zip(parts, x.split(sizes)):
                out[p + end] = y.clone()
            back[bfl + end] = ([p + end for p in parts], swap)

    def norm(bfl, name):
        out[name + ".weight"], back[bfl + ".scale"] = weights[bfl + ".scale"], ([name + ".weight"], False)

    put("img_in", "x_embedder"), put("txt_in", "context_embedder")
    put("final_layer.linear", "proj_out"), put("final_layer.adaLN_modulation.1", "norm_out.linear", swap=True)
    for a, b in ("time_in", "timestep_embedder"), ("guidance_in", "guidance_embedder"), ("vector_in", "text_embedder"):
        put(a + ".in_layer", f"time_text_embed.{b}.linear_1"), put(a + ".out_layer", f"time_text_embed.{b}.linear_2")
    t = "transformer_blocks.0."
    for s, mod, q, n, o, ff in (("img", "norm1", "to_{}", "norm_{}", "to_out.0", "ff"),
                                ("txt", "norm1_context", "add_{}_proj", "norm_added_{}", "to_add_out", "ff_context")):
        b = f"double_blocks.0.{s}_"
        put(b + "mod.lin", t + mod + ".linear"), put(b + "attn.qkv", *(t + "attn." + q.format(x) for x in "qkv"))
        put(b + "attn.proj", t + "attn." + o), put(b + "mlp.0", t + ff + ".net.0.proj"), put(b + "mlp.2", t + ff + ".net.2")
        for x, y in ("query", "q"), ("key", "k"):
            norm(f"{b}attn.norm.{x}_norm", t + "attn." + n.format(y))
    t, b = "single_transformer_blocks.0.", "single_blocks.0."
    put(b + "modulation.lin", t + "norm.linear"), put(b + "linear2", t + "proj_out")
    put(b + "linear1", *(t + "attn.to_" + x for x in "qkv"), t + "proj_mlp")
    norm(b + "norm.query_norm", t + "attn.norm_q"), norm(b + "norm.key_norm", t + "attn.norm_k")

    def join(want):
        result = {}
        for bfl, (parts, swap) in back.items():
            x = torch.cat([want[p] for p in parts])
            result[bfl] = torch.cat(x.chunk(2)[::-1]) if swap else x
        return result
    return out, join


def case(name, open_, layout, dims, parts, made_with="torch, safetensors", rtol=1e-6):
    doc = {"case": name, "kind": "checkpoint", "expect": "load", "layout": layout, "open": open_, "made_with": made_with,
           "tolerance": {"atol": 0.0, "rtol": rtol}, "dims": dims if len(parts) > 1 else next(iter(dims.values())), "parts": {}}
    for part, want in parts.items():
        expected = f"expected_{part}.safetensors"
        rows = {n: sorted({0, x.shape[0] // 2, x.shape[0] - 1}) for n, x in want.items() if x.numel() > 256}
        few = {n: x[rows[n]] if n in rows else x for n, x in want.items()}
        save_file({n: x.contiguous() for n, x in few.items()}, OUT / name / expected)
        doc["parts"][part] = {"expected": expected, "rows": rows, "tensors": {n: {
            "shape": list(x.shape), "sha256": hashlib.sha256(x.contiguous().numpy().tobytes()).hexdigest(),
            "sum": float(x.double().sum()), "l2": float(x.double().norm()), "first": x.flatten()[:3].tolist(),
            "last": x.flatten()[-2:].tolist()} for n, x in want.items()}}
    (OUT / name / "case.json").write_text(json.dumps(doc, separators=(",", ":")) + "\n")


def folder(name):
    (OUT / name).mkdir(parents=True, exist_ok=True)
    return OUT / name


def checkpoints():
    w, d = transformer(16, 1, 1, 12, 10)
    file, want, notes = int8_rows(w)
    save_file(file, folder("int8_in_the_header") / "flux1-dev-int8.safetensors", notes)
    case("int8_in_the_header", "flux1-dev-int8.safetensors", "int8 with a scale a row, said in the header", {"transformer": d},
         {"transformer": want})

    file, want = nested_nf4(w)
    save_file({"model.diffusion_model." + n: x for n, x in file.items()}, folder("nf4_nested") / "nf4.safetensors")
    case("nf4_nested", "nf4.safetensors", "NF4 whose scales are quantised", {"transformer": d}, {"transformer": want})

    # norm_out.linear's halves change places within a block of 64, and q, k and v are each stored in another way.
    parts, join = diffusers(w)
    in4 = {n: x for n, x in parts.items() if ".to_q." in n or "norm_out" in n or ".net.2" in n}
    in8 = {n: x for n, x in parts.items() if n not in in4 and ".to_v." not in n}
    f4, w4 = nested_nf4(in4, lambda n, x: x.dim() == 2, block=48)
    f8, w8 = scaled(in8, "weight_scale")
    plain = {n: x.half() for n, x in parts.items() if n not in in4 and n not in in8}
    path = folder("mixed_diffusers") / "transformer"
    path.mkdir(exist_ok=True)
    save_file(f4 | f8 | plain, path / "diffusion_pytorch_model.safetensors")
    case("mixed_diffusers", "transformer", "NF4, scaled fp8 and float16 under diffusers' names", {"transformer": d},
         {"transformer": join(w4 | w8 | {n: x.float() for n, x in plain.items()})})

    e, de = t5(16, 24, 2, 8, 2, 40)
    c, dc = clip(8, 12, 1, 30)
    ft, wt = scaled(w, "scale_weight", "model.diffusion_model.")
    fe, we = scaled(e, "scale_weight", "text_encoders.t5xxl.transformer.")
    fc = {"text_encoders.clip_l.transformer." + n: x.half() for n, x in c.items()}
    fc["text_encoders.clip_l.logit_scale"] = torch.tensor(4.6)
    save_file(ft | fe | fc, folder("scaled_all_in_one") / "everything.sft")
    case("scaled_all_in_one", "everything.sft", "three networks in one file, two of them in scaled fp8",
         {"transformer": d, "t5": de, "clip": dc}, {"transformer": wt, "t5": we, "clip": {n: x.half().float() for n, x in c.items()}})

    path = folder("t5_of_torch") / "text_encoder_2"
    path.mkdir(exist_ok=True)
    state = {n: x.to(torch.bfloat16) for n, x in e.items()}
    state["encoder.embed_tokens.weight"] = state["shared.weight"]
    torch.save(state, path / "pytorch_model.bin")
    case("t5_of_torch", "text_encoder_2", "torch.save's archive", {"t5": de}, {"t5": {n: x.bfloat16().float() for n, x in e.items()}})


def ggufs():
    q = gguf.GGMLQuantizationType
    w, d = transformer(32, 1, 1, 32, 24)
    path = folder("gguf_without_architecture") / "flux-mixed.gguf"
    want = write_gguf(path, w, [q.Q8_0, q.Q5_1, q.Q4_0, q.F16, q.Q5_0, q.BF16, q.Q4_1], "", "model.diffusion_model.")
    case("gguf_without_architecture", "flux-mixed.gguf", "types mixed, the prefix of all-in-one files, no architecture",
         {"transformer": d}, {"transformer": want}, "gguf")
    e, de = t5(32, 64, 2, 16, 1, 40)
    want = write_gguf(folder("gguf_pig") / "t5.safetensors", e, [q.Q8_0, q.Q5_0], "pig")
    case("gguf_pig", "t5.safetensors", "T5 under Hugging Face's names, and a file name that isn't true", {"t5": de}, {"t5": want}, "gguf")


def tables():
    q, blocks, want = gguf.GGMLQuantizationType, {}, {}
    for kind in (q.Q4_0, q.Q4_1, q.Q5_0, q.Q5_1, q.Q8_0, q.Q2_K, q.Q3_K, q.Q4_K, q.Q5_K, q.Q6_K, q.IQ4_NL, q.IQ4_XS):
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        raw = rng.integers(0, 256, (4, size)).astype(np.uint8)
        half = np.array([0.7, -0.013, 6e-8, 0.0], np.float16).view(np.uint8).reshape(4, 2)
        places = {q.Q4_0: [0], q.Q4_1: [0, 2], q.Q5_0: [0], q.Q5_1: [0, 2], q.Q8_0: [0], q.Q2_K: [80, 82], q.Q3_K: [108],
                  q.Q4_K: [0, 2], q.Q5_K: [0, 2], q.Q6_K: [208], q.IQ4_NL: [0], q.IQ4_XS: [0]}[kind]
        for p in places:
            raw[:, p:p + 2] = half
        blocks[kind.name] = torch.from_numpy(raw)
        want[kind.name] = torch.from_numpy(np.ascontiguousarray(gguf.dequantize(raw, kind)).reshape(4, elements))
    save_file(blocks, folder("table_gguf") / "blocks.safetensors")
    save_file(want, OUT / "table_gguf" / "expected.safetensors")
    doc = {"case": "table_gguf", "kind": "table", "expect": "load", "open": "blocks.safetensors", "types": sorted(blocks),
           "made_with": "gguf", "tolerance": {"atol": 1e-8, "rtol": 1e-6}}
    (OUT / "table_gguf" / "case.json").write_text(json.dumps(doc) + "\n")
    codes = torch.arange(256, dtype=torch.uint8)
    kinds = {"F8_E4M3": FP8, "F8_E5M2": torch.float8_e5m2, "F8_E8M0": torch.float8_e8m0fnu}
    save_file({n: codes.view(k).float() for n, k in kinds.items()}, folder("table_fp8") / "expected.safetensors")
    doc = {"case": "table_fp8", "kind": "table", "expect": "load", "open": "expected.safetensors", "made_with": "torch",
           "tolerance": {"atol": 0, "rtol": 0}}
    (OUT / "table_fp8" / "case.json").write_text(json.dumps(doc) + "\n")


def quanto():
    """optimum-quanto's int8 and fp8, under diffusers' names: a scale a row beside the weight, which its own name follows."""
    w, d = transformer(16, 1, 1, 12, 10)
    parts, join = diffusers(w)
    file, want = {}, {}
    for i, (n, x) in enumerate(parts.items()):
        if x.dim() != 2 or "block" not in n:
            file[n] = x.to(torch.bfloat16)
            want[n] = file[n].float()
            continue
        most, to = (127, torch.int8) if i % 4 else (448, FP8)
        scale = (x.abs().amax(dim=1, keepdim=True) / most).to(torch.bfloat16)
        q = (x / scale.float()).clamp(-most, most)
        file[n + "._data"], file[n + "._scale"] = q.round().to(to) if i % 4 else q.to(to), scale
        want[n] = file[n + "._data"].float() * scale.float()
        for end in "input_scale", "output_scale":
            file[n.removesuffix("weight") + end] = torch.tensor(1.0)
    path = folder("quanto") / "transformer"
    path.mkdir(exist_ok=True)
    save_file(file, path / "diffusion_pytorch_model.safetensors")
    case("quanto", "transformer", "optimum-quanto's int8 and fp8, with a scale a row", {"transformer": d}, {"transformer": join(want)})


def bitsandbytes_int8():
    """LLM.int8 as diffusers saves it: SCB is the largest number of each row, which 127 stands for."""
    w, d = transformer(16, 1, 1, 12, 10)
    parts, join = diffusers(w)
    file, want = {}, {}
    for n, x in parts.items():
        if not is_matrix(n, x):
            file[n] = x.half()
            want[n] = file[n].float()
            continue
        layer, most = n.removesuffix("weight"), x.abs().amax(dim=1)
        file |= {n: (x / most[:, None] * 127).round().to(torch.int8), layer + "SCB": most,
                 layer + "weight_format": torch.tensor(0, dtype=torch.uint8)}
        want[n] = file[n].float() * most[:, None] * (1 / 127)
    path = folder("bnb_int8") / "transformer"
    path.mkdir(exist_ok=True)
    save_file(file, path / "diffusion_pytorch_model.safetensors")
    case("bnb_int8", "transformer", "bitsandbytes' int8 with the largest number of each row", {"transformer": d}, {"transformer": join(want)},
         rtol=1e-4)


checkpoints(), ggufs(), tables(), quanto(), bitsandbytes_int8()
