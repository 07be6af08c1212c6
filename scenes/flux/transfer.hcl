# Entity transfer: an emblem is painted onto a mug, and onto a bag, by EliGen's LoRA and
# an in-context LoRA that draws one thing in two panels. The pictures are scaled to a panel.

variable "weights" {
  description = "The folder of the weights. ELIGEN_VAR_weights names another one for all scenes."
  default     = "./weights"
}

model "flux" "dev" {
  source = "${var.weights}/FLUX.1-dev"
  dtype  = "bfloat16"
}

adapter "lora" "eligen" {
  source = "${var.weights}/eligen/model_bf16.safetensors"
}

adapter "lora" "in_context" {
  source = "${var.weights}/in-context/visual-identity-design.safetensors"
}

render "transfer" {
  for_each = { mug = "mug", bag = "linen bag" }
  model    = model.flux.dev
  adapters = [adapter.lora.eligen, adapter.lora.in_context]
  size     = [1024, 1024]
  seed     = 0
  prompt   = "two-panel image of one brand's emblem; [LEFT] a kingfisher on a branch in a blue ring, on plain paper; [RIGHT] the same kingfisher emblem printed on a ${each.value} that stands on a wooden table"
  entities = [entity.emblem[each.key]]

  transfer {
    source  = image("pictures/emblem.png")
    target  = image("pictures/table.png")
    feather = 8
  }

  sampler {
    steps    = 50
    cfg      = 3.0
    guidance = 3.5
  }
}

entity "emblem" {
  for_each = { mug = image("masks/mug.png"), bag = image("masks/bag.png") }
  prompt   = "a kingfisher emblem"
  mask     = each.value
}
