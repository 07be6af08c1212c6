"""Loss and gradients of a LoRA on a FLUX.1 transformer under EliGen's attention, by PyTorch's autograd.

    gradients.py CASE.json FOLDER

It draws the weights, in bfloat16, the LoRA and a lesson, in float32, and writes them and what PyTorch makes of them.
Everything is computed in float32, on the equations of the paper's model: one dense attention under a mask.
"""
import json, math, sys, torch
from safetensors.torch import save_file
import torch.nn.functional as F

case, out = json.load(open(sys.argv[1])), sys.argv[2]
torch.manual_seed(case["seed"])
dim, heads, axes = case["dim"], case["heads"], case["axes"]
hd = dim // heads


def draw(shape, by):
    return torch.randn(shape) * by


weights = {}
for w in case["weights"]:
    scale = 1 / math.sqrt(w["shape"][-1]) if len(w["shape"]) > 1 else 0.1
    x = draw(w["shape"], scale)
    if w["name"].endswith("norm.scale"):
        x = 1 + x
    weights[w["name"]] = x.bfloat16()
save_file(weights, out + "/weights.safetensors")
lora = {}
for name in case["adapted"]:
    o, i = weights[name].shape
    lora[name + " A"] = draw([case["rank"], i], 1 / math.sqrt(i))
    lora[name + " B"] = draw([o, case["rank"]], 1 / math.sqrt(case["rank"]))
save_file(lora, out + "/lora.safetensors")
c, h, w = case["latents"]
inputs = {"latents": draw([c, h, w], 1), "noise": draw([c, h, w], 1), "txt": draw([case["text"], case["text_dim"]], 1),
          "vec": draw([case["pooled_dim"]], 1)}
for i, _ in enumerate(case["entities"]):
    inputs[f"entity {i}"] = draw([case["entity_text"], case["text_dim"]], 1)
save_file(inputs, out + "/inputs.safetensors")

for x in lora.values():
    x.requires_grad_()


def linear(x, name):
    y = x @ weights[name + ".weight"].float().T + weights[name + ".bias"].float()
    if name + ".weight A" in lora:
        y = y + (x @ lora[name + ".weight A"].T) @ lora[name + ".weight B"].T
    return y


def embed(t, name):
    f = torch.exp(-math.log(10000) * torch.arange(128) / 128)
    a = t * f
    x = torch.cat([a.cos(), a.sin()])[None]
    return linear(F.silu(linear(x, name + ".in_layer")), name + ".out_layer")


def norm(x):
    return F.layer_norm(x, [dim], eps=1e-6)


def rms(x, name):
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-6) * weights[name].float()


sigma = case["sigma"]
x = (1 - sigma) * inputs["latents"] + sigma * inputs["noise"]
rows, columns = h // 2, w // 2
tokens = x.reshape(c, rows, 2, columns, 2).permute(1, 3, 0, 2, 4).reshape(rows * columns, c * 4)
img = linear(tokens, "img_in")
txt = torch.cat([inputs[f"entity {i}"] for i in range(len(case["entities"]))] + [inputs["txt"]])
txt = linear(txt, "txt_in")
vec = embed(1000 * torch.tensor(sigma), "time_in")
if case["guidance"]:
    vec = vec + embed(1000 * torch.tensor(1.0), "guidance_in")
vec = vec + linear(F.silu(linear(inputs["vec"][None], "vector_in.in_layer")), "vector_in.out_layer")

# Who attends to whom.
T, S = txt.shape[0], img.shape[0]
segment = torch.tensor([i for i in range(len(case["entities"])) for _ in range(case["entity_text"])] +
                       [len(case["entities"])] * case["text"])
allowed = torch.zeros(T + S, T + S, dtype=torch.bool)
allowed[:T, :T] = segment[:, None] == segment[None]
allowed[T:, T:] = True
for i, region in enumerate(case["entities"]):
    inside = torch.zeros(S, dtype=torch.bool)
    inside[region] = True
    allowed[:T, T:][segment == i] = inside
allowed[:T, T:][segment == len(case["entities"])] = True
allowed[T:, :T] = allowed[:T, T:].T

angles = []
for size, position in zip(axes, [torch.zeros(S), torch.arange(S) // columns, torch.arange(S) % columns]):
    f = 10000.0 ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
    angles.append(position[:, None].double() * f)
angles = torch.cat(angles, -1)
cos, sin = angles.cos().float()[:, None], angles.sin().float()[:, None]


def turn(x):  # [S,H,hd]
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack([cos * a - sin * b, sin * a + cos * b], -1).flatten(-2)


def attend(txt, img):  # each (q, k, v) of [rows,H,hd]
    q, k = (torch.cat([txt[i], turn(img[i])]) for i in (0, 1))
    v = torch.cat([txt[2], img[2]])
    return F.scaled_dot_product_attention(q.transpose(0, 1), k.transpose(0, 1), v.transpose(0, 1), attn_mask=allowed).transpose(0, 1).flatten(1)


def qkv(x, name):
    q, k, v = x.reshape(x.shape[0], 3, heads, hd).unbind(1)
    return rms(q, name + "norm.query_norm.scale"), rms(k, name + "norm.key_norm.scale"), v


for i in range(case["double"]):
    p = f"double_blocks.{i}."
    mods = {s: linear(F.silu(vec), p + s + "_mod.lin").chunk(6, -1) for s in ("img", "txt")}
    parts = {}
    for s, x in (("img", img), ("txt", txt)):
        shift, scale = mods[s][:2]
        parts[s] = qkv(linear(norm(x) * (1 + scale) + shift, p + s + "_attn.qkv"), p + s + "_attn.")
    attended = attend(parts["txt"], parts["img"])

    def finish(s, x, a):
        m = mods[s]
        x = x + m[2] * linear(a, p + s + "_attn.proj")
        y = linear(F.gelu(linear(norm(x) * (1 + m[4]) + m[3], p + s + "_mlp.0"), approximate="tanh"), p + s + "_mlp.2")
        return x + m[5] * y
    img, txt = finish("img", img, attended[T:]), finish("txt", txt, attended[:T])

for i in range(case["single"]):
    p = f"single_blocks.{i}."
    x = torch.cat([txt, img])
    shift, scale, gate = linear(F.silu(vec), p + "modulation.lin").chunk(3, -1)
    y = linear(norm(x) * (1 + scale) + shift, p + "linear1")
    q, k, v = qkv(y[:, :3 * dim], p)
    a = attend((q[:T], k[:T], v[:T]), (q[T:], k[T:], v[T:]))
    x = x + gate * linear(torch.cat([a, F.gelu(y[:, 3 * dim:], approximate="tanh")], -1), p + "linear2")
    txt, img = x[:T], x[T:]

shift, scale = linear(F.silu(vec), "final_layer.adaLN_modulation.1").chunk(2, -1)
v = linear(norm(img) * (1 + scale) + shift, "final_layer.linear")
v = v.reshape(rows, columns, c, 2, 2).permute(2, 0, 3, 1, 4).reshape(c, h, w)
loss = case["weight"] * ((v - (inputs["noise"] - inputs["latents"])) ** 2).mean()
loss.backward()
save_file({"loss": loss.detach().reshape(1), **{n: x.grad for n, x in lora.items()}}, out + "/expected.safetensors")
