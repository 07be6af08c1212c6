// Package families is the table of the families of models.
package families

import (
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/model/family/flux"
	"github.com/eligen/eligen/model/family/nano"
	"github.com/eligen/eligen/model/family/qwen"
)

// All is every family: a line registers one.
var All = family.Table{
	nano.Family,
	flux.Family,
	qwen.Family,
}
