# Places are counted in characters: a tab is one, and so is a letter of two bytes.

entity "äpfel" {
	prompt = "zwei Äpfel — grün" /* 🍏 */ + "x" # want "Invalid operand: .*left" "Invalid operand: .*right"
	region	= ellipse(0.5, 0.5, 0.1, -0.1) # want "A radius must be greater than 0"
}

render "ö" {
	prompt = "Ökologie ${entity.äpfel.promt} 🍎 ${entity.birne.prompt}" # want "entity.äpfel has no attribute .promt." "There is no entity .birne."
}
