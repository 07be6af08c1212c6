package jobs

import (
	"fmt"
	"strings"
	"time"
)

// Slurm returns a batch script of an array, a task a shard. file is the name that it is going to have.
func Slurm(j Job, file string) string {
	whole := quoted(append([]string{"eligen"}, j.apply("")...)...)
	var b strings.Builder
	b.WriteString("#!/bin/bash\n")
	b.WriteString(comment(
		"Renders on several machines, each a shard of the pictures. Submit it, and behind it the run that puts clips",
		"and contact sheets together and makes what is missing:",
		"",
		fmt.Sprintf("  job=$(sbatch --parsable %s)", quote(file)),
		fmt.Sprintf("  sbatch --dependency=afterany:$job --job-name=%s-whole --wrap=%s", j.Name, quote(whole)),
		"",
		"All nodes need eligen in PATH and the folder of the scenes, and share results through --cache, ELIGEN_CACHE or",
		"a store on a file system that all see (ELIGEN_CACHE_DIR; by default in the home folder).",
		"",
	))
	option := func(format string, args ...any) { fmt.Fprintf(&b, "#SBATCH "+format+"\n", args...) }
	option("--job-name=%s", j.Name)
	option("--array=1-%d", j.Shards)
	option("--output=%s-%%A_%%a.log", j.Name)
	option("--nodes=1")
	option("--ntasks=1")
	if j.CPUs > 0 {
		option("--cpus-per-task=%d", j.CPUs)
	}
	if j.Memory > 0 {
		option("--mem=%dM", mebibytes(j.Memory))
	}
	if j.GPUs > 0 {
		option("--gres=gpu:%d", j.GPUs)
	}
	if j.Limit > 0 {
		option("--time=%s", slurmTime(j.Limit))
		option("--signal=B:TERM@60") // what is finished is kept
	}
	option("--requeue")
	fmt.Fprintf(&b, "\nexec %s\n", quoted(append([]string{"eligen"}, j.apply("auto")...)...))
	return b.String()
}

// slurmTime returns a time as Slurm writes it: days-hours:minutes:seconds, rounded up.
func slurmTime(d time.Duration) string {
	s := int64((d + time.Second - 1) / time.Second)
	return fmt.Sprintf("%d-%02d:%02d:%02d", s/86400, s/3600%24, s/60%60, s%60)
}
