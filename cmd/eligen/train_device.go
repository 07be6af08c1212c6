package main

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/app/lab"
)

// visible is what CUDA reads: the graphics cards that a process sees.
const visible = "CUDA_VISIBLE_DEVICES"

// newTrainDevice is the command by which a training computes on more than one device. Nobody types it.
func newTrainDevice() *cobra.Command {
	var backend, memory string
	c := &cobra.Command{
		Use:    "train-device",
		Short:  "Compute lessons for a training in another process",
		Args:   exactly(0),
		Hidden: true,
		RunE: withApp(func(c *cobra.Command, a *app.App, _ []string) error {
			signal.Ignore(os.Interrupt) // the training ends it, when its step is over
			n, err := readMemory(memory)
			if err != nil {
				return err
			}
			return lab.ServeDevice(c.Context(), a, backend, n, c.InOrStdin(), answers)
		}),
	}
	backendFlag(c.Flags(), &backend)
	c.Flags().StringVar(&memory, "memory", "", "`SIZE`, as 16GiB, or any")
	return c
}

// devices returns what starts the process of the k-th device of a training, which may take as many bytes of memory; 0 is no
// limit. Of several graphics cards, this process takes the first, and each of the others one of its own.
func devices(backend string, n int) func(ctx context.Context, k int, memory int64) *exec.Cmd {
	if n < 2 {
		return nil
	}
	var cards []string
	if list := os.Getenv(visible); list != "" {
		cards = strings.Split(list, ",")
	}
	card := func(k int) string {
		if k < len(cards) {
			return cards[k]
		}
		return strconv.Itoa(k)
	}
	_ = os.Setenv(visible, card(0)) // its name is sound
	return func(ctx context.Context, k int, memory int64) *exec.Cmd {
		self, err := os.Executable()
		if err != nil {
			self = os.Args[0]
		}
		limit := "any"
		if memory > 0 {
			limit = strconv.FormatInt(memory, 10)
		}
		c := exec.CommandContext(ctx, self, "train-device", "--memory", limit)
		if backend != "" {
			c.Args = append(c.Args, "--backend", backend)
		}
		c.Args[0] = os.Args[0]
		c.Env = append(os.Environ(), visible+"="+card(k))
		return c
	}
}
