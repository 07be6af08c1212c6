# What can go wrong in a dynamic block, and what the language won't have.

variable "secret" {
  sensitive = true # want "Unsupported argument: A variable has no argument .sensitive.. What a variable says ends in prompts"
  default   = ""
}

variable "some" {
  default  = null # want "Incorrect type: The default must not be null"
  nullable = false
}

variable "yes" {
  default  = 1
  nullable = "maybe" # want "Incorrect type: Nullable must be bool"
}

render "a" {
  prompt     = "x"
  entities   = []
  depends_on = [render.b] # want "Unsupported argument: A render has no argument .depends_on.. What a render needs is what it refers to"

  dynamic "outputs" { # want "Unsupported block type: A render has no blocks of type .outputs.. Did you mean .output."
    for_each = []
    content {
    }
  }

  dynamic "output" { # want "Missing required argument: A dynamic block needs the argument .for_each."
    content {
    }
  }

  dynamic "output" { # want "Missing required block"
    for_each = []
  }

  dynamic "sampler" {
    for_each = [1, 2] # want "Duplicate block: A render has at most one sampler block; this makes 2"
    content {
      steps = sampler.value
    }
  }

  dynamic "init" {
    for_each = "x" # want "Incorrect type: .for_each. must be a list, a set or a map; this is .x."
    content {
    }
  }
}

render "b" {
  prompt   = "x"
  entities = []

  dynamic "output" {
    for_each = ["a", "b"]
    content {
      path = "out/x.png" # want "Duplicate output: Every instance writes out.x.png. Put ..output.key. into the path"
    }
  }

  dynamic "output" {
    for_each = [1, 2]
    iterator = entity # want "Invalid name: .entity. already means something"
    content {
    }
  }

  dynamic "output" {
    for_each = [{ name = "a" }, { name = "b" }]
    content {
      path = "out/${output.value.nam}.png" # want "has no attribute .nam.. Did you mean .name."
    }
  }

  output {
    path = "out/${output.key}.png" # want "Nothing is called .output. here"
  }
}

render "c" {
  prompt   = "x ${try(var.nothing, 1)}" # want "There is no variable .nothing."
  entities = []
}
