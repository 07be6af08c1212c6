package eligen

// A Scene is what the author asked for: every render and recipe of one file,
// evaluated, with the place of everything that can be blamed.
type Scene struct {
	Path     string   // as given on the command line
	Renders  []Render // in file order
	Recipes  []Recipe // in file order
	Entities []Entity // every entity of the file, used by a render or not, in file order
	Checks   []Check  // in file order
	Moves    []Move   // in file order
	Sheets   []Sheet  // of renders side by side; no file says so, flags do
}

// A Sheet is a picture of several renders of one size, each with a caption.
type Sheet struct {
	Path     string   // below the scene's folder, slash-separated
	Renders  []string // addresses
	Captions []string
	Source   Source
}

// A Check is a promise about the pictures of a scene, tested after they are made.
type Check struct {
	Name    string
	Address string // "check.cat_is_where_asked"
	Asserts []Assert
	Source  Source
}

// An Assert is one condition of a Check over measured numbers.
type Assert struct {
	Metrics []MetricCall // what the condition calls, each once
	// Test evaluates the condition, given the values of Metrics in their order,
	// and the message to show where it does not hold.
	Test   func(values []float64) (ok bool, message string, err error) `json:"-"`
	Source Source                                                      // the condition
}

// A MetricCall is a number to measure on a finished render.
type MetricCall struct {
	Name    string   // "placement", "locality", "psnr"
	Render  string   // address
	Entity  string   // address; of placement and locality
	Other   string   // psnr: the address of the render to compare with
	Picture *Picture // psnr: or the picture to compare with
	Source  Source
}

// A Move says that what was recorded under one address is now found under another.
type Move struct {
	From, To string // addresses
	Source   Source
}

// A Render is one picture to make.
//
// What the author left out is nil or empty here; the planner fills it from the
// model's Spec, so that a scene file means the same until it is planned.
type Render struct {
	Name     string // block label
	Address  string // "render.picnic", `render.poster["dawn"]`, "render.poster[0]"
	Key      string // of for_each, or the number of count; "" without
	Model    Model
	Adapters []Adapter // nil: the family's default; empty: none
	Size     Size      // zero: the model's native size
	Prompt   string
	Negative string
	Entities []Entity // in drawing order
	// TextTokens is how many tokens entities' prompts are padded or cut to, as an approximation; 0 is the model's.
	TextTokens int `json:",omitempty"`
	// Schedule is of the strength of entities that have none of their own; nil is always, everywhere.
	Schedule *StrengthSchedule `json:",omitempty"`
	Overlap  string            // what happens where regions meet: "blend" (also ""), "over", "layered", "exclusive"
	Seed     uint64            // at most 2^32-1, since PyTorch's CPU generator uses 32 bits
	Sampler  Sampler
	Init     *Init
	Inpaint  *Inpaint
	Transfer *Transfer
	VAE      *VAE
	Clip     *Clip // nil: one picture
	Outputs  []Output
	Source   Source
	At       map[string]Source // places of attributes and blocks, by dotted name: "negative", "sampler.cfg"
	// Broken says which arguments and blocks could not be read, where the render is not to be
	// made but looked through for more mistakes; nil where all could. "" is what is no argument.
	Broken map[string]bool   `json:"-"`
	Uses   map[string][]Note `json:"-"` // what the values of attributes were computed from, where the planner may complain about them
}

// Where returns the position of a dotted attribute, or of the render where it is unset.
func (r *Render) Where(attribute string) *Source {
	if s, ok := r.At[attribute]; ok {
		return &s
	}
	return &r.Source
}

// Sampler says how latents are denoised. Nil fields take the model's defaults.
type Sampler struct {
	Steps            *int
	CFG              *float64 // true classifier-free guidance; 1 is off
	Guidance         *float64 // embedded guidance
	Schedule         string   // "eligen" (the reference's, shift 3), "flux-dev", "flux-schnell", "diffusers"; "" is the model's
	Shift            *float64 // time shift; only schedule "eligen" takes one
	NegativeEntities *bool    // entities on the negative branch too
	TeaCache         *float64 // threshold from which a step runs all of the model again; 0 is off, and exact
}

// VAE says how the autoencoder works.
type VAE struct {
	Tiled        bool // square by square, in memory that doesn't grow with the picture
	Tile, Stride int  // as in Tiling; 0 is DefaultTile and DefaultStride
	Source       Source
}

// Init starts from a picture instead of from noise alone.
type Init struct {
	Image    Picture
	Fit      string  // of a picture of another shape, as a Transfer's
	Strength float64 // (0, 1]; 1 ignores the picture
	Source   Source
}

// Inpaint paints the entities' regions into a picture, and keeps the rest.
type Inpaint struct {
	Image Picture
	Fit   string // of a picture of another shape, as a Transfer's
	Keeping
	Source Source
}

// Transfer paints what one picture shows into another one: the entities' regions of
// To are painted while the model sees From beside it, in the left one of two panels.
// Regions, size and result are the right panel's (DiffSynth-Studio's entity transfer
// by In-Context LoRA).
type Transfer struct {
	From, To Picture
	// Fit is how pictures of another shape than the render are laid on its panels:
	// "stretch", "cover"; "" has pictures of the render's shape only.
	Fit string
	Keeping
	// Clean shows the model the source as it is at every step; else under as much noise as
	// the rest. nil is as the model's own in-context LoRA is trained, in mode "exact".
	Clean  *bool
	Source Source
}

// Keeping is how what is outside the regions of a picture is kept.
type Keeping struct {
	// Mode is "exact" (also ""): what is outside the regions keeps its pixels; or
	// "reference": the arithmetic of DiffSynth-Studio 1.1, which keeps them roughly.
	Mode       string
	Feather    float64 // exact: pixels inside the regions' edge over which the new fades in
	Background float64 // reference: how much of the model's own velocity is mixed in outside the regions
}

// A Clip makes a render a sequence of frames.
type Clip struct {
	Timeline Timeline
	Warm     *WarmStart
	// Lock keeps all but the image tokens of regions as it is in frame 0.
	Lock bool
}

// WarmStart begins a frame from the one before it, instead of from noise alone.
type WarmStart struct {
	Strength float64 // (0, 1): how much of the noise schedule is gone through
	Every    int     // a frame whose number is a multiple of it begins from noise; 0: frame 0 alone does
	Source   Source
}

// Output is a file that a render is written to.
type Output struct {
	Path          string // below the scene's folder, slash-separated
	Overlay       bool   // draw the regions and prompts over the picture
	StripMetadata bool   // leave out what made the picture
	Unmarked      bool   `json:",omitempty"` // leave out that a model made it, too
	Quality       int    // of a JPEG, 1 to 100; 0 is 90
	Sheet         bool   // of a clip: all frames side by side
	Loop          int    // of a clip: how often it is played; 0 is without end
	Dither        string // of a GIF: "none", "floyd-steinberg" (also ""), "ordered"
	Source        Source
	At            map[string]Source // where arguments are named, those that are set
}

// A Model names weights. Family says how to run them.
type Model struct {
	Family string // "nano" (embedded), "flux"
	Name   string // block label; "" for the default model
	// Path is "" for embedded weights; else a file or folder, absolute, or beginning with a dot
	// and relative to the working directory, or with "~/"; or what a [Sources] finds: a [Repo], or
	// a file of [ComfyUI].
	Path   string
	Parts  map[string]string `json:",omitempty"` // paths of parts that the scene names by themselves, by [PartVAE] and others
	DType  string            // "", "float32", "bfloat16", "int8", "int4": what weights are computed in, or held as
	Source Source
	At     map[string]Source `json:"-"` // places of arguments, by name
}

// Where is the place of an argument, or of the model where it is unset.
func (m *Model) Where(argument string) *Source {
	if s, ok := m.At[argument]; ok {
		return &s
	}
	return &m.Source
}

// InContext is an Adapter's Path that names its family's own LoRA for two-panel
// pictures. No file is found by it: paths of files begin with a dot, or are absolute.
const InContext = "in-context"

// An Adapter is a small set of weights laid over a Model's.
type Adapter struct {
	Kind    string // "lora"; "ip": an IP-Adapter, which brings in pictures
	Name    string
	Path    string // as a Model's; "" is the family's own: EliGen's LoRA, or its IP-Adapter; InContext its LoRA for transfers
	Scale   float64
	Alpha   string    // of "lora": "file": as the file says; "ignore": as the old reference did
	Encoder string    // of "ip": the vision tower's file or folder; "" is the family's own
	Images  []Picture // of "ip": at least one
	Source  Source
	At      map[string]Source // places of arguments, by name
}

// Where returns the position of an argument, or of the adapter where it is unset.
func (a *Adapter) Where(argument string) *Source {
	if s, ok := a.At[argument]; ok {
		return &s
	}
	return &a.Source
}

// An Entity is one thing in the picture: what it is, and where.
type Entity struct {
	Name     string
	Address  string // "entity.dog", `entity.bird["near"]`, "entity.bird[0]"
	Prompt   string
	Negative string // what is not to be in its region; needs guidance
	Region   Region
	Z        float64  // where the render's overlap is "over" or "layered", the higher lies above; equal: the later
	Opacity  *float64 // where the render's overlap is "layered", from 0 to 1; nil is 1, opaque
	Occludes []string // addresses of entities that it lies above, whatever their z
	Strength float64  // multiplies the weight of the entity's text in attention; 1 is the reference
	Source   Source
	At       map[string]Source

	AutoNegative bool // its prompt is what is not to be outside its region; needs guidance

	Feather float64 `json:",omitempty"` // pixels inside the region's edge over which it fades in; 0 is a hard edge

	Schedule *StrengthSchedule `json:",omitempty"` // of its strength; nil is the render's
}

// Where returns the position of an attribute, or of the entity where it is unset.
func (e *Entity) Where(attribute string) *Source {
	if s, ok := e.At[attribute]; ok {
		return &s
	}
	return &e.Source
}

// A Picture is a file that the scene names, known by its content.
type Picture struct {
	Path        string // where it was found, for messages; no part of any recipe
	Digest      Digest // of the file's bytes
	Size        Size   // as it is seen, after turning as the file says
	Transparent bool   `json:",omitempty"` // something of it is
	Background  string `json:",omitempty"` // the colour behind what is transparent, "#rrggbb"; "" is white
	Profile     string `json:",omitempty"` // of the colours that are converted to sRGB; "" where they are sRGB
	Unconverted string `json:",omitempty"` // why they are not, though they should be: the end of a sentence
}

// White is a [Picture]'s background where none is stated.
const White = "#ffffff"

// Behind returns the colour that a model sees behind a picture, "" for an opaque one.
func (p Picture) Behind() string {
	switch {
	case !p.Transparent:
		return ""
	case p.Background == "":
		return White
	}
	return p.Background
}

// A Recipe is a training. Zero fields take the trainer's defaults.
type Recipe struct {
	Name      string
	Kind      string // "autoencoder", "base", "eligen": what is trained
	Model     Model
	Dataset   string // "composed", or a folder in EliGen's format
	Classes   int    // of the composed dataset: how many object classes; 0 is all
	Pictures  int    // how many different pictures are seen, again and again
	Size      Size   // of the training pictures
	Window    Size   // how much of a picture a sample shows, at its place in it; zero is all
	Seed      uint64
	Steps     int
	Batch     int
	Rank      int     // LoRA rank; 0 trains all weights
	Regions   float64 // share of samples that carry entities and regional attention
	Drop      Dropout
	Optimizer Optimizer
	Timesteps string  // "logit-normal", "uniform", "reference"
	Weighting string  // "none", "reference": loss weight by timestep
	Objects   float64 // loss weight inside objects; 1 is none
	// Within is the loss weight of where in its region each image token is, which the
	// transformer is asked for while it is trained; 0 doesn't ask.
	Within float64
	// Across is the loss weight of what a pair's object looks like in the left panel, which
	// its image tokens in the right one are asked for.
	Across float64
	// Words is, of an IP-Adapter's training, how much of what is to be drawn is what the
	// model itself draws where a caption says the style; the rest is the pictures.
	Words float64
	// ImagePrompts is the share of a base's samples whose style no caption says: a picture of
	// that style shows it, through the IP-Adapter, which is trained with the base then.
	ImagePrompts float64
	// Pairs is the share of a base's steps that see pairs: two panels which show one object.
	Pairs float64
	// Styles is which share of the composed pictures is drawn in another style, by its name.
	Styles map[string]float64
	EMA    float64 // decay of the running mean of the weights; 0 is off
	Every  int     // steps between checkpoints
	// Validation keeps pictures out of a LoRA's training for a model other than nano.
	Validation Validation
	Source     Source
}

// Validation is what each checkpoint of a training is judged by.
type Validation struct {
	Pictures int // the last of the dataset; 0 is no validation
	Drawn    int // of them, how many are drawn with the LoRA as it is
	Steps    int // of denoising, for those; 0 is the model's
}

// Dropout is how often a condition is left out in training.
type Dropout struct{ Prompt, Entity float64 }

// Optimizer is the settings of AdamW, or of Muon with AdamW for what is no
// matrix inside the network.
type Optimizer struct {
	Kind    string // "adamw" (also ""), "muon"
	Rate    float64
	Warmup  int
	Decay   string // "cosine", "constant", "reference" (a third of the rate for five steps)
	Weight  float64
	Clip    float64 // gradient norm; 0 is off
	Betas   [2]float64
	Epsilon float64
}
