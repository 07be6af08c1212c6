package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/jobs"
)

// jobOptions are the flags of `eligen export slurm`, `k8s` and `openjd`.
type jobOptions struct {
	scheduler string
	job       jobs.Job
	memory    string
	out       string
	force     bool
}

func newExportSlurm() *cobra.Command {
	return newJobExport("slurm", "Write a Slurm array that renders scenes",
		`The script is an array of shards. Its head has the two commands to submit: the array, and behind it the run that puts
clips together.`,
		"eligen export slurm scenes/moonrise.hcl --shards 4 --gpus 1 --time 2h --out moonrise.sbatch\n"+
			"# flags of apply follow two hyphens\neligen export slurm scenes/moonrise.hcl --out moonrise.sbatch -- --backend xla:cuda")
}

func newExportKubernetes() *cobra.Command {
	c := newJobExport("k8s", "Write an Indexed Job that renders scenes",
		`The manifest is an Indexed Job of shards, and a suspended Job that puts clips together: its head says how to resume it.
Pods read scenes, and write pictures, on the volume of --claim, from its root; or scenes are in the image, and results go to
--cache.`,
		"eligen export k8s scenes/moonrise.hcl --image render/eligen:1 --claim scenes --out moonrise.yaml\n"+
			"# scenes in the image, results in a cache, admitted by Kueue\n"+
			"eligen export k8s scenes/moonrise.hcl --image render/scenes:1 --kueue gpus -- --cache https://cache.example.org/")
	return c
}

func newExportOpenJD() *cobra.Command {
	return newJobExport("openjd", "Write an OpenJD template that renders scenes",
		`The template (Open Job Description, 2023-09) has a step of shards, and one behind it that puts clips together. The scenes'
paths are its parameters, with a default where the scene is below the template's folder.`,
		"eligen export openjd scenes/moonrise.hcl --shards 4 --out moonrise.yaml")
}

// newJobExport returns the command that writes jobs for a scheduler.
func newJobExport(scheduler, short, long, example string) *cobra.Command {
	o := jobOptions{scheduler: scheduler}
	c := &cobra.Command{
		Use:   scheduler + " {SCENE|FOLDER}… [-- FLAGS OF APPLY]",
		Short: short,
		Long: short + `: each task makes a shard, as apply --shard does, and a last run makes the rest.

` + long + `

What follows -- are flags of apply, for all of these runs: --backend, --engine, --cache, --seed and others. Paths are as the
machines see them.`,
		Example:           example,
		Args:              some,
		ValidArgsFunction: complete("hcl"),
		RunE:              withApp(o.run),
	}
	f := c.Flags()
	f.IntVar(&o.job.Shards, "shards", 0, "divide the pictures into `N` tasks (default as many as can be made apart, at most 8)")
	f.IntVar(&o.job.CPUs, "cpus", 0, "processors of a task, `N` (default the scheduler's)")
	f.IntVar(&o.job.GPUs, "gpus", 0, "graphics cards of a task, `N` (default none)")
	f.StringVar(&o.memory, "memory", "", "memory of a task, `SIZE`, such as 32GiB (default the scheduler's)")
	f.DurationVar(&o.job.Limit, "time", 0, "end a task after `TIME`, such as 2h30m; what it has finished is kept (default the scheduler's)")
	f.StringVar(&o.out, "out", "", "write to `FILE` (default standard output)")
	f.BoolVar(&o.force, "force", false, "replace an existing file")
	if scheduler == "k8s" {
		f.StringVar(&o.job.Image, "image", "", "the container's `IMAGE`, which has eligen as its entry point")
		f.StringVar(&o.job.Claim, "claim", "", "the PersistentVolumeClaim, `NAME`, with the scenes, the pictures and the store")
		f.StringVar(&o.job.Kueue, "kueue", "", "have Kueue admit the job through the local queue `NAME`")
	}
	return c
}

func (o *jobOptions) run(c *cobra.Command, a *app.App, args []string) error {
	scenes, flags := args, []string(nil)
	if n := c.ArgsLenAtDash(); n >= 0 {
		scenes, flags = args[:n], args[n:]
	}
	r, cache, err := o.applied(c, scenes, flags)
	if err != nil {
		return err
	}
	if err := o.check(c, cache); err != nil {
		return err
	}
	r.Scheduler, r.File, r.Job = o.scheduler, o.out, o.job
	text, warnings, err := a.ExportJob(c.Context(), r)
	warned(c, warnings)
	if err != nil {
		return err
	}
	if u, err := url.Parse(cache); err == nil && u.User != nil {
		fmt.Fprintln(c.ErrOrStderr(), "Note: the address of the cache has a password, and so has the file. ELIGEN_CACHE keeps it out of it.")
	}
	if o.out == "" {
		_, err = io.WriteString(c.OutOrStdout(), text)
		return err
	}
	if _, err := os.Lstat(o.out); err == nil && !o.force {
		return fmt.Errorf("%s exists: choose another name, or pass --force", o.out)
	}
	if err := files.WriteFile(o.out, func(w io.Writer) error { _, err := io.WriteString(w, text); return err }); err != nil {
		return err
	}
	fmt.Fprintln(c.OutOrStdout(), o.out)
	return nil
}

// forOne are flags of apply that are for one run alone: a job has several.
var forOne = []string{"shard", "watch", "open", "report", "queue", "priority", "json"}

// applied returns what flags of apply ask of scenes, and the cache that they name.
func (o *jobOptions) applied(c *cobra.Command, scenes, flags []string) (r app.JobRequest, cache string, err error) {
	if len(scenes) == 0 {
		return r, "", some(c, nil)
	}
	var as applyOptions
	apply := applyCommand(&as)
	if err := apply.ParseFlags(flags); err != nil {
		return r, "", wrongFlag(apply, err)
	}
	if rest := apply.Flags().Args(); len(rest) > 0 {
		return r, "", usageError{fmt.Errorf("%s follows -- and is no flag of apply: name scenes before it", rest[0])}
	}
	for _, name := range forOne {
		if apply.Flags().Changed(name) {
			return r, "", usageError{fmt.Errorf("--%s after --: a job is several runs of apply, and this is for one", name)}
		}
	}
	if r.ScenesRequest, err = as.request(apply, scenes); err != nil {
		return r, "", err
	}
	r.Job.Scenes = scenes
	o.job.Scenes, o.job.Flags = scenes, flags
	return r, apply.Flag("cache").Value.String(), nil
}

// check reads what a task needs.
func (o *jobOptions) check(c *cobra.Command, cache string) (err error) {
	if o.memory != "" {
		if o.job.Memory, err = readSize("memory", o.memory); err != nil {
			return err
		}
	}
	switch f := c.Flags(); {
	case f.Changed("shards") && o.job.Shards < 1:
		return usageError{fmt.Errorf("--shards %d: pass 1 or more", o.job.Shards)}
	case o.job.CPUs < 0 || o.job.GPUs < 0:
		return usageError{errors.New("--cpus and --gpus: pass 0 or more")}
	case f.Changed("time") && o.job.Limit < time.Minute:
		return usageError{fmt.Errorf("--time %v: pass a minute or more", o.job.Limit)}
	case o.scheduler != "k8s":
		return nil
	case o.job.Image == "":
		return usageError{errors.New("--image is missing: name the container's image")}
	case o.job.Claim == "" && cache == "":
		return usageError{errors.New("what pods make would be lost: pass --claim NAME, or -- --cache URL")}
	}
	return nil
}
