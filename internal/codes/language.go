package codes

// E00: the scene's file itself.
var files = []Entry{
	{Code: "E0001", Summary: "Interrupted", Text: `You stopped the command, or the program that runs it did, before the scene was read or ` +
		`planned. Nothing is wrong with the scene. Run the same command again.`},
	{Code: "E0002", Summary: "Scene not found", Text: `No file has the name that the command got. Paths are relative to the folder that ` +
		`you run eligen in. The message names the file of that folder that comes closest.`},
	{Code: "E0003", Summary: "Scene can't be read", Text: `The file is there, and the system doesn't let eligen read it: you lack the ` +
		`permission, it is a pipe or a device, or its disk reports an error. The message holds the system's own words.`},
	{Code: "E0004", Summary: "Not a scene", Text: `A scene is one file whose name ends in .hcl, or in .json for HCL's JSON syntax. A ` +
		`folder of such files is a module: a scene takes it in with a module block.`},
	{Code: "E0005", Summary: "File too large", Text: `A scene, a variable file, or the files of a module together have more than 1 MiB. A ` +
		`file of this size is most often a picture or a mask by another name, or a table: put pictures into files of their own and read them ` +
		`with image(), tables with csvdecode(file("table.csv")).`},
	{Code: "E0006", Summary: "Nothing to make", Also: []string{"Nothing to render"},
		Text: `The scene holds no render block, so there is no picture to make. A recipe is run by eligen train instead.`,
		Wrong: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}
`, Right: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt = "a dog on a meadow"
}
`},
	{Code: "E0007", Summary: "Formatting does not settle",
		Text: `eligen fmt formats the file again and again, and it changes each time. This is a bug in eligen: please report it with the file.`},
	{Code: "E0008", Summary: "Invalid flag",
		Text: `A flag of the command has a value that this scene or this release can't honour: an engine, a format, a render or a stage that ` +
			`there is not, or frames that the clip hasn't got. The message names the flag, its value, and what there is. "eligen plan" ` +
			`lists a scene's renders and stages.`},
	{Code: "E0009", Summary: "JSON scene",
		Text: `The studio changes single arguments of a scene in HCL, and leaves comments and the rest as they ` +
			`are. HCL's JSON syntax has no such places. Write the scene as .hcl to edit it there.`},
}

// E01: how a scene is written.
var language = []Entry{
	{Code: "E0101", Summary: "Syntax error", Also: []string{
		"Ambiguous attribute key", "Argument definition required", "Argument or block definition required", "Attribute name required",
		"Duplicate attribute definition", "Duplicate object attribute",
		"Duplicate object key", "Extra characters after expression", "Extra characters after interpolation expression",
		"Extraneous data after value", "Function calls not allowed", "Incorrect JSON value type",
		"Index value required", "Invalid 'for' directive", "Invalid 'for' expression", "Invalid JSON", "Invalid JSON keyword",
		"Invalid JSON number", "Invalid JSON string", "Invalid argument name", "Invalid array value",
		"Invalid attribute name", "Invalid block definition", "Invalid escape sequence", "Invalid expression", "Invalid legacy index syntax",
		"Invalid multi-line string", "Invalid nested splat expressions",
		"Invalid number literal", "Invalid object key", "Invalid object key expression", "Invalid object property name",
		"Invalid single-argument block definition", "Invalid start of value", "Invalid string literal",
		"Invalid template control keyword", "Invalid template directive", "Mismatched braces", "Mismatched brackets", "Missing JSON value",
		"Missing argument separator", "Missing array element value",
		"Missing attribute separator", "Missing attribute seperator comma", "Missing attribute value", "Missing close bracket on index",
		"Missing close bracket on splat index", "Missing closing parenthesis",
		"Missing expression", "Missing false expression in conditional", "Missing function name", "Missing item separator",
		"Missing key/value separator", "Missing newline after argument",
		"Missing newline after block definition", "Missing object value", "Missing open parenthesis", "Missing property value colon",
		"Missing value", "Nested splat expression not allowed",
		"Root value must be object", "Trailing comma in array", "Trailing comma in object", "Unbalanced parentheses",
		"Unclosed configuration block", "Unclosed configuration body", "Unclosed index brackets",
		"Unclosed object", "Unclosed template interpolation sequence", "Unexpected comma after argument", "Unexpected else directive",
		"Unexpected end of template", "Unsupported operator",
		"Unterminated function call", "Unterminated object constructor expression", "Unterminated string literal", "Unterminated template string",
		"Unterminated tuple constructor expression",
		"Variable name required",
	}, Text: `The text is not HCL: a bracket, a quote, a comma or an equals sign is missing, or is one too many. The caret points ` +
		`at the first character that can't stand where it is; the cause is there, or shortly before it.

eligen reads the rest of the file all the same, block by block, so that this mistake doesn't hide the others.`,
		Wrong: `
render "picnic" {
  prompt = "a dog" seed = 7
}
`, Right: `
render "picnic" {
  prompt = "a dog"
  seed   = 7
}
`},
	{Code: "E0102", Summary: "Invalid character", Also: []string{"Invalid character encoding"}, Text: `The file holds a character that ` +
		`HCL has no use for: typographic quotes or dashes, as text processors write them, a space that is none, a character that nobody ` +
		`sees, or bytes that are not UTF-8. The message names it. Replace it with the plain one, and save the file in UTF-8.`,
		Wrong: `
render "picnic" {
  prompt = “a dog”
}
`, Right: `
render "picnic" {
  prompt = "a dog"
}
`},
	{Code: "E0103", Summary: "Scene too complex",
		Text: `What is written here costs more than any scene needs: too many brackets inside one another, too long an expression, ` +
			`too large a value, or loops that multiply. Expressions are counted while they are evaluated, so that no scene, whoever wrote ` +
			`it, stops a machine. docs/language.md lists all limits.

Work values out once, in a locals block, instead of in a loop; split long expressions in the same way.`,
		Wrong: `
locals {
  many = [for a in range(1000) : [for b in range(1000) : a * b]]
}

render "picnic" {
  prompt = "a dog"
  seed   = local.many[1][2]
}
`, Right: `
render "picnic" {
  prompt = "a dog"
  seed   = 1 * 2
}
`},
	{Code: "E0104", Summary: "Duplicate argument",
		Text: `A block sets an argument twice. Only one of the values could count, so neither does: remove one.`,
		Wrong: `
render "picnic" {
  prompt = "a dog"
  seed   = 7
  seed   = 8
}
`, Right: `
render "picnic" {
  prompt = "a dog"
  seed   = 8
}
`},
	{Code: "E0105", Summary: "Duplicate block",
		Text: `A block holds two blocks of a kind of which it has one at most, such as two sampler blocks in a render. Merge the two.`,
		Wrong: `
render "picnic" {
  prompt = "a dog"

  sampler {
    steps = 20
  }

  sampler {
    cfg = 3
  }
}
`, Right: `
render "picnic" {
  prompt = "a dog"

  sampler {
    steps = 20
    cfg   = 3
  }
}
`},
	{Code: "E0106", Summary: "Duplicate declaration", Text: `Two blocks, or two local values, have one name. References could mean ` +
		`either, so names are unique within a file, and within a module. Rename one of the two.`,
		Wrong: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

entity "dog" {
  prompt = "another dog"
  box    = xywh(0.6, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt = "two dogs"
}
`, Right: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

entity "other" {
  prompt = "another dog"
  box    = xywh(0.6, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt = "two dogs"
}
`},
	{Code: "E0107", Summary: "Unsupported argument", Also: []string{"Extraneous JSON object property"}, Text: `The block has no argument ` +
		`of this name. It is misspelt, or it belongs in another block: the message says which, where it knows. docs/language.md, or eligen ` +
		`schema, lists the arguments of every block.`,
		Wrong: `
render "picnic" {
  prompt = "a dog"
  steps  = 20
}
`, Right: `
render "picnic" {
  prompt = "a dog"

  sampler {
    steps = 20
  }
}
`},
	{Code: "E0108", Summary: "Unsupported block type", Also: []string{"Unexpected block"}, Text: `No block of this type can stand here. ` +
		`It is misspelt, it is an argument and needs an equals sign, or it belongs inside another block or in the scene's own file.`,
		Wrong: `
rendr "picnic" {
  prompt = "a dog"
}

render "plain" {
  prompt = "a dog"
}
`, Right: `
render "picnic" {
  prompt = "a dog"
}
`},
	{Code: "E0109", Summary: "Missing required argument", Text: `The block lacks an argument that it can't do without. null counts as ` +
		`left out. The message names the argument, and gives an example where its value isn't plain text.`,
		Wrong: `
entity "dog" {
  box = xywh(0.1, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt = "a dog"
}
`, Right: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt = "a dog"
}
`},
	{Code: "E0110", Summary: "Missing required block",
		Text: `The block lacks a block inside it without which it says nothing: a check its assert, a timeline its track, a dynamic block ` +
			`its content.`,
		Wrong: `
render "picnic" {
  prompt = "a dog"
}

check "there" {
}
`, Right: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt = "a dog"
}

check "there" {
  assert {
    condition     = placement(render.picnic, entity.dog) > 0.5
    error_message = "The dog is elsewhere."
  }
}
`},
	{Code: "E0111", Summary: "Wrong number of labels", Text: `Labels are the texts in quotes between a block's type and its brace: entity ` +
		`has one, its name; model has two, its family and its name; sampler has none.`,
		Wrong: `
render {
  prompt = "a dog"
}

render "plain" {
  prompt = "a dog"
}
`, Right: `
render "picnic" {
  prompt = "a dog"
}
`},
	{Code: "E0112", Summary: "Invalid name", Text: `References and names of files are made of names, so that a name starts with a letter ` +
		`and holds letters, digits, _ and - alone. Some names mean something already: each, count, and the arguments of a module block.`,
		Wrong: `
render "my picnic" {
  prompt = "a dog"
}
`, Right: `
render "my-picnic" {
  prompt = "a dog"
}
`},
	{Code: "E0113", Summary: "Not supported yet", Text: `The language has this, and this release of eligen can't do it yet. It is refused ` +
		`rather than ignored, since the picture would not be what you asked for. Remove it, or wait for a release that can.`,
		Wrong: `
entity "dog" {
  prompt = "a dog"
  region = feather(xywh(0.1, 0.2, 0.3, 0.4), 8)
}

render "picnic" {
  prompt = "a dog"
}
`, Right: `
entity "dog" {
  prompt = "a dog"
  region = xywh(0.1, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt = "a dog"
}
`},
	{Code: "E0114", Summary: "Invalid template", Also: []string{"Invalid template interpolation value", "Unexpected template directive",
		"Extra characters in template marker"}, Text: `A template, a text with ${ … } or %{ … } in it, can't be read or evaluated: a ` +
		`directive has no end, or what an interpolation gives is no text, such as a list. Write $${ or %%{ where you mean the characters ` +
		`themselves.`,
		Wrong: `
render "picnic" {
  prompt = "a ${["brown", "dog"]}"
}
`, Right: `
render "picnic" {
  prompt = "a ${join(" ", ["brown", "dog"])}"
}
`},
	{Code: "E0115", Summary: "Deprecated argument", Text: `The argument has a new name, which says better what it is. The old one means ` +
		`the same until the release that the message names. Rename it; setting both is an error.`,
		Wrong: `
recipe "base" {
  steps = 400

  optimizer "adamw" {
    rate = 1e-3
  }
}
`, Right: `
recipe "base" {
  steps = 400

  optimizer "adamw" {
    learning_rate = 1e-3
  }
}
`},
	{Code: "E0116", Summary: "Unsupported eligen version", Text: `The scene's eligen block says which releases may read it, and this one ` +
		`isn't among them. Install another release, or change required_version.`,
		Wrong: `
eligen {
  required_version = ">= 99"
}

render "picnic" {
  prompt = "a dog"
}
`, Right: `
eligen {
  required_version = ">= 0.1"
}

render "picnic" {
  prompt = "a dog"
}
`},
	{Code: "E0117", Summary: "Invalid version constraint", Text: `required_version holds constraints, apart by commas, as Terraform ` +
		`writes them: =, !=, >, >=, <, <= and ~> before a version of at most three numbers. ~> lets only the last number grow.`,
		Wrong: `
eligen {
  required_version = "newest"
}

render "picnic" {
  prompt = "a dog"
}
`, Right: `
eligen {
  required_version = "~> 0.1"
}

render "picnic" {
  prompt = "a dog"
}
`},

	{Code: "E0201", Summary: "Reference to undeclared name", Also: []string{"Unknown variable"}, Text: `The scene declares nothing of ` +
		`this name. References begin with what a thing is: entity.dog, local.where, var.size, render.poster. A module sees its own blocks ` +
		`alone; what it has is module.NAME.entity.x to the scene.`,
		Wrong: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt   = "a dog"
  entities = [entity.dgo]
}
`, Right: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt   = "a dog"
  entities = [entity.dog]
}
`},
	{Code: "E0202", Summary: "Incomplete reference",
		Text: `A reference names one block: entity needs a name behind it, model and adapter two. All blocks of a kind are no value.`,
		Wrong: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt   = "a dog"
  entities = entity
}
`, Right: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt   = "a dog"
  entities = [entity.dog]
}
`},
	{Code: "E0203", Summary: "Circular reference", Text: `A value needs itself, directly or through others, so that it can't be worked ` +
		`out. The message shows the circle. Write one of the values in it out.`,
		Wrong: `
locals {
  a = local.b
  b = local.a
}

render "picnic" {
  prompt = "a dog"
}
`, Right: `
locals {
  a = 7
  b = local.a
}

render "picnic" {
  prompt = "a dog"
}
`},
	{Code: "E0204", Summary: "Reference to a repeated block", Text: `A block with for_each or count stands for several, and what is ` +
		`written here needs one. Name it by its key, entity.duck["near"] or entity.duck[0]. A list of all is values(entity.duck) with ` +
		`for_each, and entity.duck with count.`,
		Wrong: `
entity "duck" {
  for_each = { near = 0.1, far = 0.6 }
  prompt   = "a duck"
  box      = xywh(each.value, 0.5, 0.3, 0.3)
}

render "pond" {
  prompt = "a duck near ${entity.duck.prompt}"
}
`, Right: `
entity "duck" {
  for_each = { near = 0.1, far = 0.6 }
  prompt   = "a duck"
  box      = xywh(each.value, 0.5, 0.3, 0.3)
}

render "pond" {
  prompt = "a duck near ${entity.duck["far"].prompt}"
}
`},
	{Code: "E0205", Summary: "Reference outside a repetition", Text: `each.key and each.value are the element for which a block with ` +
		`for_each is read, count.index the number in one with count. Elsewhere they have no value.`,
		Wrong: `
render "pond" {
  prompt = "a duck, number ${count.index}"
}
`, Right: `
render "pond" {
  count  = 2
  prompt = "a duck, number ${count.index}"
}
`},
	{Code: "E0206", Summary: "References not allowed", Also: []string{"Variables not allowed"}, Text: `This value is needed before ` +
		`anything is evaluated, such as a variable's default, or comes from outside the scene, so that it can't refer to anything. Write it ` +
		`out. A value that is computed goes in locals.`,
		Wrong: `
variable "prompt" {
  default = local.text
}

render "picnic" {
  prompt = var.prompt
}
`, Right: `
variable "prompt" {
  default = "a dog"
}

render "picnic" {
  prompt = var.prompt
}
`},
	{Code: "E0207", Summary: "Incorrect reference", Text: `The argument takes a reference to a block of one kind, and got something else: ` +
		`a text, a block of another kind, or a repeated block as a whole. References are written without quotes: entity.dog.`,
		Wrong: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt   = "a dog"
  entities = ["dog"]
}
`, Right: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt   = "a dog"
  entities = [entity.dog]
}
`},
	{Code: "E0208", Summary: "Altered block", Text: `A copy of a block with other attributes, as merge() makes it, is no block: what is ` +
		`rendered is always what a block of the scene says. Write a second block. A variant of a render is one with from.`,
		Wrong: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt   = "a cat"
  entities = [merge(entity.dog, { prompt = "a cat" })]
}
`, Right: `
entity "cat" {
  prompt = "a cat"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt   = "a cat"
  entities = [entity.cat]
}
`},
	{Code: "E0209", Summary: "Call to unknown function", Text: `No function has this name. Scenes have the pure part of Terraform's ` +
		`library, shapes, and files of the scene's own folder: nothing that reads a clock, a network or the environment, so that a scene ` +
		`means the same everywhere. Pass such values in as variables. docs/language.md lists all functions.`,
		Wrong: `
render "picnic" {
  prompt = "a dog at ${timestamp()}"
}
`, Right: `
variable "time" {
  default = "noon"
}

render "picnic" {
  prompt = "a dog at ${var.time}"
}
`},
	{Code: "E0210", Summary: "Invalid function argument",
		Text: `A function can't take the value that it got. The message says what the function needs; the carets mark the argument.`,
		Wrong: `
entity "dog" {
  prompt = "a dog"
  box    = xyxy(0.4, 0.2, 0.1, 0.6)
}

render "picnic" {
  prompt = "a dog"
}
`, Right: `
entity "dog" {
  prompt = "a dog"
  box    = xyxy(0.1, 0.2, 0.4, 0.6)
}

render "picnic" {
  prompt = "a dog"
}
`},
	{Code: "E0211", Summary: "Wrong number of arguments", Also: []string{"Not enough function arguments", "Too many function arguments",
		"Invalid expanding argument value"}, Text: `A function got too few or too many arguments. The message shows how it is called.`,
		Wrong: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3)
}

render "picnic" {
  prompt = "a dog"
}
`, Right: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt = "a dog"
}
`},
	{Code: "E0212", Summary: "Error in function call", Also: []string{"Evaluation failed"},
		Text: `A function could not work out its result. The message holds its own words.`,
		Wrong: `
render "picnic" {
  prompt = "a dog"
  seed   = element([], 0)
}
`, Right: `
render "picnic" {
  prompt = "a dog"
  seed   = element([7], 0)
}
`},
	{Code: "E0213", Summary: "Unsupported attribute", Also: []string{"Attempt to get attribute from null value", "Missing map element"},
		Text: `The value before the dot has no attribute of this name. The message lists those it has, or the one that comes closest. Shapes ` +
			`have none: bounds(shape) gives the numbers of the box around one.`,
		Wrong: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt = "a ${entity.dog.name} and ${entity.dog.breed}"
}
`, Right: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt = "a ${entity.dog.name} and ${entity.dog.prompt}"
}
`},
	{Code: "E0214", Summary: "Invalid index", Also: []string{"Attempt to index null value", "Incorrect key type", "Invalid path step",
		"Null value as key"}, Text: `The list or map has no element with this index or key. Lists count from 0.`,
		Wrong: `
locals {
  seeds = [1, 2]
}

render "picnic" {
  prompt = "a dog"
  seed   = local.seeds[2]
}
`, Right: `
locals {
  seeds = [1, 2]
}

render "picnic" {
  prompt = "a dog"
  seed   = local.seeds[1]
}
`},
	{Code: "E0215", Summary: "Invalid operation", Also: []string{"Invalid operand", "Operation failed", "Null condition", "Condition is null",
		"Incorrect condition type", "Inconsistent conditional result types", "Iteration over null value",
		"Iteration over non-iterable value", "Invalid 'for' condition", "Splat of null value"}, Text: `An operator, a condition or a loop ` +
		`got a value that it can't work with: arithmetic needs numbers, a condition true or false, a loop a list, a set or a map, and the ` +
		`two results of "? :" one type.`,
		Wrong: `
render "picnic" {
  prompt = "a dog"
  seed   = "seven" + 1
}
`, Right: `
render "picnic" {
  prompt = "a dog"
  seed   = 7 + 1
}
`},
	{Code: "E0216", Summary: "Measure outside a check", Text: `placement(), locality() and psnr() measure finished pictures. When the ` +
		`scene is read there is none yet, so that they can stand only in the condition and the error_message of a check.`,
		Wrong: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt = "a dog"
}

locals {
  good = placement(render.picnic, entity.dog) > 0.5
}
`, Right: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt = "a dog"
}

check "good" {
  assert {
    condition     = placement(render.picnic, entity.dog) > 0.5
    error_message = "The dog is elsewhere."
  }
}
`},
}
