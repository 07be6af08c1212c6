package eligen

// A Mark says in a file, for programs and people who know nothing of eligen, that a model made it.
type Mark struct {
	Source string // a term of IPTC's digital source types, such as [TrainedMedia]
	Model  Digest `recipe:"omitzero"` // SHA-256 of the transformer's file, where it is one
}

// Terms of IPTC's vocabulary of digital source types, http://cv.iptc.org/newscodes/digitalsourcetype/.
const (
	TrainedMedia   = "trainedAlgorithmicMedia"              // made by a trained model
	CompositeMedia = "compositeWithTrainedAlgorithmicMedia" // a trained model painted into a picture
	DrawnMedia     = "algorithmicMedia"                     // drawn by a program that was trained on nothing
)
