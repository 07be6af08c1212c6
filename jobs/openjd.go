package jobs

import (
	"errors"
	"fmt"
	"strings"
)

// mostPaths is how many paths an OpenJD template names: it has at most 50 parameters.
const mostPaths = 40

// OpenJD returns a job template of Open Job Description, 2023-09: a step of a task a shard, and one behind it that
// puts together what is made of several. The scenes' paths are parameters, so that a farm can map them: they are from
// the template's folder, and "" is left to whoever submits the job.
func OpenJD(j Job) (string, error) {
	if len(j.Scenes) > mostPaths {
		return "", fmt.Errorf("a template has at most %d scenes: name their folder instead", mostPaths)
	}
	for _, f := range j.Flags {
		if strings.Contains(f, "{{") {
			return "", errors.New("{{ in an argument is a parameter of the template: leave it out")
		}
	}
	t := template{Version: "jobtemplate-2023-09", Name: j.Name}
	var paths []string
	for i, path := range j.Scenes {
		name := "Scene"
		if len(j.Scenes) > 1 {
			name = fmt.Sprint("Scene", i+1)
		}
		paths = append(paths, "{{Param."+name+"}}")
		t.Parameters = append(t.Parameters, parameter{Name: name, Type: "PATH", DataFlow: "INOUT", Default: path,
			Description: "A scene, or a folder of scenes. Pictures are written next to it."})
	}
	j.Scenes = paths
	shards := step{Name: "Shards"}
	shards.Space = &space{[]taskParameter{{"Shard", "INT", fmt.Sprintf("1-%d", j.Shards)}}}
	shards.Script.Actions.OnRun = j.action(fmt.Sprintf("{{Task.Param.Shard}}/%d", j.Shards))
	whole := step{Name: "Whole", Dependencies: []dependency{{"Shards"}}}
	whole.Script.Actions.OnRun = j.action("")
	shards.Host, whole.Host = j.host(), j.host()
	t.Steps = []step{shards, whole}
	return document(t), nil
}

type (
	template struct {
		Version    string      `yaml:"specificationVersion"`
		Name       string      `yaml:"name"`
		Parameters []parameter `yaml:"parameterDefinitions"`
		Steps      []step      `yaml:"steps"`
	}
	parameter struct {
		Name        string `yaml:"name"`
		Type        string `yaml:"type"`
		DataFlow    string `yaml:"dataFlow"`
		Default     string `yaml:"default,omitempty"`
		Description string `yaml:"description"`
	}
	step struct {
		Name         string       `yaml:"name"`
		Dependencies []dependency `yaml:"dependencies,omitempty"`
		Space        *space       `yaml:"parameterSpace,omitempty"`
		Host         *host        `yaml:"hostRequirements,omitempty"`
		Script       struct {
			Actions struct {
				OnRun action `yaml:"onRun"`
			} `yaml:"actions"`
		} `yaml:"script"`
	}
	dependency struct {
		On string `yaml:"dependsOn"`
	}
	space struct {
		Parameters []taskParameter `yaml:"taskParameterDefinitions"`
	}
	taskParameter struct {
		Name  string `yaml:"name"`
		Type  string `yaml:"type"`
		Range string `yaml:"range"`
	}
	host struct {
		Amounts []amount `yaml:"amounts"`
	}
	amount struct {
		Name string `yaml:"name"`
		Min  int64  `yaml:"min"`
	}
	action struct {
		Command string            `yaml:"command"`
		Args    []string          `yaml:"args"`
		Timeout int64             `yaml:"timeout,omitempty"`
		Cancel  map[string]string `yaml:"cancelation"`
	}
)

// action returns eligen's run of a shard; "" is the whole.
func (j Job) action(shard string) action {
	return action{Command: "eligen", Args: j.apply(shard), Timeout: int64(j.Limit.Seconds() + 0.999),
		Cancel: map[string]string{"mode": "NOTIFY_THEN_TERMINATE"}} // what is finished is kept
}

// host returns what a machine must have; nil is anything.
func (j Job) host() *host {
	var h host
	add := func(name string, n int64) {
		if n > 0 {
			h.Amounts = append(h.Amounts, amount{name, n})
		}
	}
	add("amount.worker.vcpu", int64(j.CPUs))
	add("amount.worker.memory", mebibytes(j.Memory))
	add("amount.worker.gpu", int64(j.GPUs))
	if len(h.Amounts) == 0 {
		return nil
	}
	return &h
}
