package jobs

import (
	"fmt"
	"strconv"
	"strings"
)

// Where a pod has what.
const (
	workFolder  = "/work"  // the claim's volume
	cacheFolder = "/cache" // a store that goes with the pod
)

// Kubernetes returns a manifest of an Indexed Job, a pod a shard, and of a Job that waits, suspended, to put
// together what is made of several.
func Kubernetes(j Job) string {
	shards := j.manifest(j.Name, "auto")
	shards.Spec.CompletionMode = "Indexed"
	shards.Spec.Completions, shards.Spec.Parallelism = j.Shards, j.Shards
	shards.Spec.BackoffLimitPerIndex = new(3)
	shards.Spec.Template.Spec.Containers[0].Env = append(shards.Spec.Template.Spec.Containers[0].Env,
		variable{"JOB_COMPLETIONS", strconv.Itoa(j.Shards)})
	whole := j.manifest(j.Name+"-whole", "")
	whole.Spec.Completions, whole.Spec.Parallelism = 1, 1
	whole.Spec.BackoffLimit = new(3)
	whole.Spec.Suspend = true
	if j.Kueue != "" { // Kueue admits what is suspended
		shards.Metadata.Labels = map[string]string{"kueue.x-k8s.io/queue-name": j.Kueue}
		shards.Spec.Suspend = true
	}
	return comment(
		"Renders on several machines, each a shard of the pictures. After",
		"",
		fmt.Sprintf("  kubectl wait --for=condition=complete --timeout=-1s job/%s", j.Name),
		"",
		"this has the second job put clips and contact sheets together, and make what is missing:",
		"",
		fmt.Sprintf(`  kubectl patch job/%s-whole --type=strategic --patch '{"spec":{"suspend":false}}'`, j.Name),
	) + document(shards) + "---\n" + document(whole)
}

type (
	manifest struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string `yaml:"kind"`
		Metadata   struct {
			Name   string            `yaml:"name"`
			Labels map[string]string `yaml:"labels,omitempty"`
		} `yaml:"metadata"`
		Spec jobSpec `yaml:"spec"`
	}
	jobSpec struct {
		CompletionMode        string `yaml:"completionMode,omitempty"`
		Completions           int    `yaml:"completions"`
		Parallelism           int    `yaml:"parallelism"`
		BackoffLimit          *int   `yaml:"backoffLimit,omitempty"`
		BackoffLimitPerIndex  *int   `yaml:"backoffLimitPerIndex,omitempty"`
		ActiveDeadlineSeconds int64  `yaml:"activeDeadlineSeconds,omitempty"`
		Suspend               bool   `yaml:"suspend,omitempty"`
		Template              struct {
			Spec podSpec `yaml:"spec"`
		} `yaml:"template"`
	}
	podSpec struct {
		RestartPolicy string      `yaml:"restartPolicy"`
		Containers    []container `yaml:"containers"`
		Volumes       []volume    `yaml:"volumes,omitempty"`
	}
	container struct {
		Name       string     `yaml:"name"`
		Image      string     `yaml:"image"`
		Args       []string   `yaml:"args"`
		WorkingDir string     `yaml:"workingDir,omitempty"`
		Env        []variable `yaml:"env,omitempty"`
		Resources  struct {
			Requests map[string]string `yaml:"requests,omitempty"`
			Limits   map[string]string `yaml:"limits,omitempty"`
		} `yaml:"resources,omitempty"`
		VolumeMounts    []mount         `yaml:"volumeMounts,omitempty"`
		SecurityContext map[string]bool `yaml:"securityContext"`
	}
	variable struct {
		Name  string `yaml:"name"`
		Value string `yaml:"value"`
	}
	mount struct {
		Name      string `yaml:"name"`
		MountPath string `yaml:"mountPath"`
	}
	volume struct {
		Name                  string         `yaml:"name"`
		PersistentVolumeClaim *claim         `yaml:"persistentVolumeClaim,omitempty"`
		EmptyDir              map[string]any `yaml:"emptyDir,omitempty"`
	}
	claim struct {
		ClaimName string `yaml:"claimName"`
	}
)

// manifest returns a Job that runs eligen on a shard; "" is the whole.
func (j Job) manifest(name, shard string) manifest {
	m := manifest{APIVersion: "batch/v1", Kind: "Job"}
	m.Metadata.Name = name
	c := container{Name: "eligen", Image: j.Image, Args: literal(j.apply(shard))}
	c.SecurityContext = map[string]bool{"allowPrivilegeEscalation": false}
	if j.Claim != "" {
		c.WorkingDir = workFolder
		c.Env = []variable{{"ELIGEN_CACHE_DIR", workFolder + "/.eligen"}}
		c.VolumeMounts = []mount{{"work", workFolder}}
		m.Spec.Template.Spec.Volumes = []volume{{Name: "work", PersistentVolumeClaim: &claim{j.Claim}}}
	} else {
		c.Env = []variable{{"ELIGEN_CACHE_DIR", cacheFolder}}
		c.VolumeMounts = []mount{{"cache", cacheFolder}}
		m.Spec.Template.Spec.Volumes = []volume{{Name: "cache", EmptyDir: map[string]any{"medium": ""}}}
	}
	c.Resources.Requests, c.Resources.Limits = map[string]string{}, map[string]string{}
	if j.CPUs > 0 {
		c.Resources.Requests["cpu"] = strconv.Itoa(j.CPUs)
	}
	if j.Memory > 0 {
		size := fmt.Sprintf("%dMi", mebibytes(j.Memory))
		c.Resources.Requests["memory"], c.Resources.Limits["memory"] = size, size
	}
	if j.GPUs > 0 {
		c.Resources.Limits["nvidia.com/gpu"] = strconv.Itoa(j.GPUs)
	}
	if j.Limit > 0 {
		m.Spec.ActiveDeadlineSeconds = int64(j.Limit.Seconds() + 0.999)
	}
	m.Spec.Template.Spec.RestartPolicy = "Never"
	m.Spec.Template.Spec.Containers = []container{c}
	return m
}

// literal returns arguments in which Kubernetes finds no variables to expand, $(NAME).
func literal(args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = strings.ReplaceAll(a, "$(", "$$(")
	}
	return out
}
