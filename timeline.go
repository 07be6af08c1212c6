package eligen

// A Timeline turns a render into a sequence of frames: what moves, and how. A
// frame depends on nothing but the scene and its number.
type Timeline struct {
	Name    string
	Address string // "timeline.leap"
	Frames  int
	FPS     float64
	Tracks  []Track
	Source  Source
}

// A Track moves one attribute: from key to key, along a path, or after another
// entity. It has exactly one of Keys, Path and Follow.
type Track struct {
	Target      Target
	Keys        []Key  // by ascending frame
	Extrapolate string // before the first key and after the last: "hold" (also ""), "loop", "mirror", "continue"
	Path        *Path  // for a center: where it goes, over the whole timeline
	Ease        Ease   // of Path
	Follow      string // for a center: the address of the entity whose centre it keeps its distance to
	Source      Source
}

// A Target is the attribute that a track moves.
type Target struct {
	Block     string // "entity.dog", "adapter.lora.eligen", "sampler"
	Attribute string // of an entity: box, mask, region, center, strength, opacity; of an adapter: scale; of the sampler: guidance, cfg
}

func (t Target) String() string { return t.Block + "." + t.Attribute }

// A Key is a value at a frame. Frames may lie between whole ones.
type Key struct {
	Frame  float64
	Value  Value
	Ease   Ease // on the way to the next key
	Source Source
}

// A Value is what a track gives its target: a region, or one number, or the two
// of a point.
type Value struct {
	Region  Region
	Numbers []float64
}
