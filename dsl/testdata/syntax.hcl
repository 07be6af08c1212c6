# A typing mistake in one place does not hide those in others.

entity "dog" {
  prompt = "a dog
  # want above "Invalid multi-line string"
  box    = xywh(0.05, 0.40, 0.45, 0) # want "The height must be greater than 0"
}

entity "apple" {
  prompt = 'an apple'                   # want "Single quotes are not valid"
  box    = xywh(0.60, 0.10, 0.30, 0.35)
  box    = xywh(0.60, 0.10, 0.30, 0.30) # want "Duplicate argument: .box. is set twice.*set first here, at testdata.syntax.hcl:11"
}

entity "pear" { # want "Unclosed configuration block: There is no closing brace for this block"
  prompt = "a pear"
  box    = xywh(0.1 0.2, 0.3, 0.4) # want "Missing argument separator"

render "x" {
  prompt   = "abc" size = 3             # want "Missing newline after argument"
  size     = [100, 64]                  # want "The width must be a multiple of 16 pixels"
  entities = [entity.dog, entity.pear, entity.kiwi] # want "There is no entity .kiwi."
}
