# Entity transfer with real weights: FLUX.1-dev, the EliGen LoRA and an in-context LoRA
# that draws one thing in two panels, from files that you have. The pictures are
# scaled to the size of a panel.

model "flux" "dev" {
  source = "./weights/FLUX.1-dev"
  dtype  = "bfloat16"
}

adapter "lora" "eligen" {
  source = "./weights/eligen/model_bf16.safetensors"
}

adapter "lora" "in_context" {
  source = "./weights/in-context/visual-identity-design.safetensors"
}

render "parked" {
  model    = model.flux.dev
  adapters = [adapter.lora.eligen, adapter.lora.in_context]
  size     = [1024, 1024]
  prompt   = "two-panel image of one toy car; [LEFT] a purple toy car on a plain blue background; [RIGHT] the same toy car parked on green hills under a rainbow"

  transfer {
    source  = image("pictures/car.png")
    target  = image("pictures/hills.png")
    feather = 16
  }

  sampler {
    steps    = 50
    cfg      = 3.0
    guidance = 3.5
  }
}

entity "car" {
  prompt = "a purple toy car"
  box    = xywh(0.06, 0.56, 0.44, 0.32)
}
