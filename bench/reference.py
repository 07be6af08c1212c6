"""What `make bench` measures eligen against: PyTorch.

    python reference.py plain      FLUX's blocks in plain eager PyTorch, written for this purpose
    python reference.py diffsynth  the reference's own classes, from an installed diffsynth

Requests come as JSON, one object a line, on standard input; each is answered by
one line on standard output. "hello" says what there is, "open" prepares a job
and runs it once, "run" runs it and answers milliseconds, "close" answers the
peak memory. Tensors come in safetensors files of float32, under the names of
Black Forest Labs' checkpoint; a velocity goes into a file of bare float32.
"""

import json
import math
import os
import sys
import time


def memory():
    """The largest resident memory of this process so far, in bytes; 0 where unknown."""
    try:
        with open("/proc/self/status") as f:
            for line in f:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def read(path):
    """The tensors of a safetensors file, one at a time, so that none is in memory twice."""
    tensors = {}
    with open(path, "rb") as f:
        size = int.from_bytes(f.read(8), "little")
        header = json.loads(f.read(size))
        for name, entry in header.items():
            start, end = entry["data_offsets"]
            f.seek(8 + size + start)
            data = torch.frombuffer(bytearray(f.read(end - start)), dtype=torch.float32)
            tensors[name] = data.reshape(entry["shape"]).clone()
    return tensors


def write(path, tensor):
    with open(path, "wb") as f:
        f.write(bytes(tensor.float().contiguous().flatten().view(torch.uint8).tolist()))


def patchify(x):
    """[B,C,h,w] to [B,(h/2)(w/2),4C]."""
    b, c, h, w = x.shape
    return x.reshape(b, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 1, 3, 5).reshape(b, h * w // 4, 4 * c)


def unpatchify(x, h, w):
    b, _, c = x.shape
    return x.reshape(b, h // 2, w // 2, c // 4, 2, 2).permute(0, 3, 1, 4, 2, 5).reshape(b, c // 4, h, w)


class Plain:
    """FLUX in eager PyTorch, as one writes it who has only its equations. The mask
    and the rotations are made once, which the reference does at every step."""

    def __init__(self, config, weights, inputs):
        self.c, self.w, self.inputs = config, weights, inputs
        batch, _, h, w = inputs["latents"].shape
        entities = inputs.get("entities")
        self.text = inputs["txt"]
        self.mask = None
        if entities is not None:
            n, length = entities.shape[1:3]
            self.text = torch.cat([entities.flatten(1, 2), self.text], 1)
            self.mask = self.attention_mask(inputs["members"], length, inputs["txt"].shape[1])
        self.rotation = self.angles(self.text.shape[1], h // 2, w // 2)

    @staticmethod
    def attention_mask(members, length, last):
        """Booleans [B,1,L,L], true where a query may see a key."""
        batch, n, image = members.shape
        segment = torch.arange(n + 1).repeat_interleave(torch.tensor([length] * n + [last]))
        text = len(segment)
        mask = torch.ones(batch, text + image, text + image, dtype=torch.bool)
        mask[:, :text, :text] = segment[:, None] == segment[None, :]
        seen = torch.cat([members > 0, torch.ones(batch, 1, image, dtype=torch.bool)], 1)[:, segment]
        mask[:, :text, text:] = seen
        mask[:, text:, :text] = seen.transpose(1, 2)
        return mask[:, None]

    def angles(self, text, rows, columns):
        """cos and sin, [L, head/2], at position 0 for text and (0, row, column) for the image."""
        row = torch.arange(rows).repeat_interleave(columns)
        column = torch.arange(columns).repeat(rows)
        parts = []
        for features, at in zip(self.c["Axes"], (torch.zeros_like(row), row, column)):
            frequency = 10000.0 ** (-torch.arange(0, features, 2, dtype=torch.float64) / features)
            parts.append(at[:, None] * frequency)
        angle = torch.cat(parts, 1)
        angle = torch.cat([torch.zeros(text, angle.shape[1], dtype=torch.float64), angle])
        return angle.cos().float(), angle.sin().float()

    def linear(self, name, x):
        return F.linear(x, self.w[name + ".weight"], self.w[name + ".bias"])

    def embed(self, name, x):
        return self.linear(name + ".out_layer", F.silu(self.linear(name + ".in_layer", x)))

    @staticmethod
    def sinusoid(t):
        angle = t[:, None] * torch.exp(-math.log(10000) * torch.arange(128) / 128)
        return torch.cat([angle.cos(), angle.sin()], 1)

    def norm(self, x, shift, scale):
        return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift

    def modulation(self, name, vec, n):
        return self.linear(name, F.silu(vec))[:, None].chunk(n, -1)

    def heads(self, name, x):
        b, length, _ = x.shape
        q, k, v = x.view(b, length, 3, self.c["Heads"], -1).permute(2, 0, 3, 1, 4)
        size = q.shape[-1:]
        q = F.rms_norm(q, size, self.w[name + "norm.query_norm.scale"], 1e-6)
        k = F.rms_norm(k, size, self.w[name + "norm.key_norm.scale"], 1e-6)
        return q, k, v

    def rotate(self, x):
        cos, sin = self.rotation
        even, odd = x[..., 0::2], x[..., 1::2]
        return torch.stack([cos * even - sin * odd, sin * even + cos * odd], -1).flatten(-2)

    def attention(self, q, k, v):
        out = F.scaled_dot_product_attention(self.rotate(q), self.rotate(k), v, attn_mask=self.mask)
        return out.transpose(1, 2).flatten(2)

    def velocity(self, latents, timestep):
        h, w = latents.shape[-2:]
        img = self.linear("img_in", patchify(latents))
        txt = self.linear("txt_in", self.text)
        vec = self.embed("time_in", self.sinusoid(timestep)) + self.embed("vector_in", self.inputs["vec"])
        if self.c["Guidance"]:
            vec = vec + self.embed("guidance_in", self.sinusoid(1000 * self.inputs["guidance"]))
        text = txt.shape[1]
        for i in range(self.c["Double"]):
            streams = {}
            for name, x in ("img", img), ("txt", txt):
                prefix = f"double_blocks.{i}.{name}_"
                m = self.modulation(prefix + "mod.lin", vec, 6)
                y = self.linear(prefix + "attn.qkv", self.norm(x, m[0], m[1]))
                streams[name] = x, prefix, m, self.heads(prefix + "attn.", y)
            q, k, v = (torch.cat(p, 2) for p in zip(streams["txt"][3], streams["img"][3]))
            out = self.attention(q, k, v)
            out = {"txt": out[:, :text], "img": out[:, text:]}
            for name, (x, prefix, m, _) in streams.items():
                x = x + m[2] * self.linear(prefix + "attn.proj", out[name])
                y = F.gelu(self.linear(prefix + "mlp.0", self.norm(x, m[3], m[4])), approximate="tanh")
                out[name] = x + m[5] * self.linear(prefix + "mlp.2", y)
            img, txt = out["img"], out["txt"]
        x = torch.cat([txt, img], 1)
        for i in range(self.c["Single"]):
            prefix = f"single_blocks.{i}."
            shift, scale, gate = self.modulation(prefix + "modulation.lin", vec, 3)
            y = self.linear(prefix + "linear1", self.norm(x, shift, scale))
            qkv, mlp = y.split([3 * self.c["Dim"], y.shape[-1] - 3 * self.c["Dim"]], -1)
            out = self.attention(*self.heads(prefix, qkv))
            x = x + gate * self.linear(prefix + "linear2", torch.cat([out, F.gelu(mlp, approximate="tanh")], -1))
        shift, scale = self.modulation("final_layer.adaLN_modulation.1", vec, 2)
        return unpatchify(self.linear("final_layer.linear", self.norm(x[:, text:], shift, scale)), h, w)


class Reference:
    """DiffSynth-Studio's FLUX, put together from its own parts at other sizes than
    FLUX's: its blocks, embedders, mask and positions, called as its pipeline calls
    them."""

    def __init__(self, config, weights, inputs):
        self.inputs = inputs
        dim, heads = config["Dim"], config["Heads"]
        dit = flux.FluxDiT.__new__(flux.FluxDiT)  # the sizes are fixed in its constructor
        torch.nn.Module.__init__(dit)
        linear, embedder = torch.nn.Linear, flux.TimestepEmbeddings
        dit.pos_embedder = flux.RoPEEmbedding(dim, 10000, config["Axes"])
        dit.time_embedder = embedder(256, dim)
        dit.guidance_embedder = embedder(256, dim) if config["Guidance"] else None
        dit.pooled_text_embedder = torch.nn.Sequential(linear(config["PooledDim"], dim), torch.nn.SiLU(), linear(dim, dim))
        dit.context_embedder = linear(config["TextDim"], dim)
        dit.x_embedder = linear(4 * config["LatentChannels"], dim)
        dit.blocks = torch.nn.ModuleList(flux.FluxJointTransformerBlock(dim, heads) for _ in range(config["Double"]))
        dit.single_blocks = torch.nn.ModuleList(flux.FluxSingleTransformerBlock(dim, heads) for _ in range(config["Single"]))
        dit.final_norm_out = flux.AdaLayerNormContinuous(dim)
        dit.final_proj_out = linear(dim, 4 * config["LatentChannels"])
        dit.load_state_dict({self.name(k): v for k, v in weights.items()}, assign=True)
        self.dit = dit.requires_grad_(False).eval()
        latents = inputs["latents"]
        self.image_ids = dit.prepare_image_ids(latents)
        self.text_ids = torch.zeros(1, inputs["txt"].shape[1], 3)
        self.entities, self.masks = inputs.get("entities"), None
        if self.entities is not None:
            h, w = latents.shape[-2:]
            members = inputs["members"].view(1, -1, 1, h // 2, w // 2)
            self.masks = members.repeat_interleave(2, -1).repeat_interleave(2, -2)

    @staticmethod
    def name(bfl):
        """The reference's name of a weight."""
        head, _, rest = bfl.partition(".")
        if head in ("double_blocks", "single_blocks"):
            block, _, rest = rest.partition(".")
            if head == "single_blocks":
                names = {"modulation.lin": "norm.linear", "linear1": "to_qkv_mlp", "linear2": "proj_out",
                         "norm.query_norm": "norm_q_a", "norm.key_norm": "norm_k_a"}
                prefix = "single_blocks." + block + "."
            else:
                prefix, names = "blocks." + block + ".", {}
                for stream, s in ("img", "a"), ("txt", "b"):
                    names |= {f"{stream}_mod.lin": f"norm1_{s}.linear", f"{stream}_attn.qkv": f"attn.{s}_to_qkv",
                              f"{stream}_attn.proj": f"attn.{s}_to_out", f"{stream}_mlp.0": f"ff_{s}.0", f"{stream}_mlp.2": f"ff_{s}.2",
                              f"{stream}_attn.norm.query_norm": f"attn.norm_q_{s}", f"{stream}_attn.norm.key_norm": f"attn.norm_k_{s}"}
            module, _, kind = rest.rpartition(".")
            return prefix + names[module] + "." + kind.replace("scale", "weight")
        for old, new in (("img_in", "x_embedder"), ("txt_in", "context_embedder"),
                         ("time_in.in_layer", "time_embedder.timestep_embedder.0"), ("time_in.out_layer", "time_embedder.timestep_embedder.2"),
                         ("guidance_in.in_layer", "guidance_embedder.timestep_embedder.0"), ("guidance_in.out_layer", "guidance_embedder.timestep_embedder.2"),
                         ("vector_in.in_layer", "pooled_text_embedder.0"), ("vector_in.out_layer", "pooled_text_embedder.2"),
                         ("final_layer.adaLN_modulation.1", "final_norm_out.linear"), ("final_layer.linear", "final_proj_out")):
            if bfl.startswith(old + "."):
                return new + bfl[len(old):]
        raise KeyError(bfl)

    def velocity(self, latents, timestep):
        dit = self.dit
        vec = dit.time_embedder(timestep, latents.dtype) + dit.pooled_text_embedder(self.inputs["vec"])
        if dit.guidance_embedder is not None:
            vec = vec + dit.guidance_embedder(1000 * self.inputs["guidance"], latents.dtype)
        img, txt = dit.x_embedder(dit.patchify(latents)), self.inputs["txt"]
        if self.masks is None:
            txt, mask = dit.context_embedder(txt), None
            rotation = dit.pos_embedder(torch.cat([self.text_ids, self.image_ids], 1))
        else:
            txt, rotation, mask = dit.process_entity_masks(
                img, txt, self.entities, self.masks, self.text_ids, self.image_ids, latents.shape[1])
        for block in dit.blocks:
            img, txt = block(img, txt, vec, rotation, mask)
        x = torch.cat([txt, img], 1)
        for block in dit.single_blocks:
            x, txt = block(x, txt, vec, rotation, mask)
        x = dit.final_proj_out(dit.final_norm_out(x[:, txt.shape[1]:], vec))
        return dit.unpatchify(x, *latents.shape[-2:])


def matmul(request):
    a, b = (torch.randn(request["size"], request["size"]) for _ in range(2))

    def run():
        with torch.inference_mode():
            torch.mm(a, b)
        return {}

    return run


def step(request):
    inputs = read(request["inputs"])
    model = model_class(request["config"], read(request["weights"]), inputs)
    timestep = 1000 * inputs["sigma"]

    def run():
        with torch.inference_mode():
            run.velocity = model.velocity(inputs["latents"], timestep)
        return {}

    return run


def train(request):
    """One step of AdamW on the mean squared error of the velocity."""
    inputs, weights = read(request["inputs"]), read(request["weights"])
    for w in weights.values():
        w.requires_grad_(True)
    model = Plain(request["config"], weights, inputs)
    o = request["optimizer"]
    groups = [{"params": [w for w in weights.values() if (w.dim() > 1) == matrix], "weight_decay": o["Weight"] if matrix else 0.0}
              for matrix in (True, False)]
    optimizer = torch.optim.AdamW(groups, lr=o["Rate"], betas=o["Betas"], eps=o["Epsilon"])
    sigma = inputs["sigma"].view(-1, 1, 1, 1)
    latents = (1 - sigma) * inputs["latents"] + sigma * inputs["noise"]
    target = inputs["noise"] - inputs["latents"]

    def run():
        loss = F.mse_loss(model.velocity(latents, 1000 * inputs["sigma"]), target)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights.values(), o["Clip"])
        optimizer.step()
        return {"loss": loss.item()}

    return run


def hello(kind):
    """Imports what this kind needs."""
    global torch, F, flux, model_class
    try:
        import torch
        import torch.nn.functional as F
        about, model_class = f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads", Plain
        if kind == "diffsynth":
            import importlib
            import importlib.metadata
            import importlib.util
            import types

            found = importlib.util.find_spec("diffsynth")
            if found is None:
                raise ImportError("No module named 'diffsynth'")
            # The package itself would import every model that it has.
            package = types.ModuleType("diffsynth")
            package.__path__ = list(found.submodule_search_locations)
            sys.modules["diffsynth"] = package
            flux, model_class = importlib.import_module("diffsynth.models.flux_dit"), Reference
            about = "diffsynth " + importlib.metadata.version("diffsynth") + ", " + about
    except (ImportError, OSError, ValueError) as e:
        # OSError and ValueError are PyTorch's, where its own libraries are missing.
        return {"missing": str(e).splitlines()[0] if str(e) else type(e).__name__}
    return {"about": about}


def main(kind):
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print is no answer
    run = None
    for line in sys.stdin:
        try:
            request = json.loads(line)
            if request["do"] == "hello":
                answer = hello(kind)
            elif request["do"] == "open":
                base = memory()
                run = {"matmul": matmul, "step": step, "train": train}[request["job"]](request)
                answer = {"base": base} | run()
                if request["job"] == "step":
                    write(request["output"], run.velocity)
            elif request["do"] == "run":
                began = time.perf_counter()
                answer = run()
                answer["ms"] = 1000 * (time.perf_counter() - began)
            else:
                answer = {"peak": memory()}
        except Exception as e:
            answer = {"error": f"{type(e).__name__}: {e}".splitlines()[0]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
