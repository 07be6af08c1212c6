package eligen

// A Family is a kind of model that a scene can name, as loading a scene must know it.
type Family struct {
	Name string
	// Source completes "A NAME model needs the argument "source": ". A family with weights
	// of its own, whose models need none, leaves it empty.
	Source string
	// Parts are those that a model's block may name by themselves, such as [PartVAE].
	Parts []string
}
