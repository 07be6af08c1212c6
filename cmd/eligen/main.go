// Command eligen makes pictures from scene files. See the README beside go.mod.
package main

import "os"

func main() { os.Exit(run(os.Args[1:])) }
