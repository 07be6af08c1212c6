// Command eligen renders scene files. See README.md next to go.mod.
package main

import "os"

func main() { os.Exit(run(os.Args[1:])) }
