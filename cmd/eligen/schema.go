package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen/dsl"
	"github.com/eligen/eligen/internal/page"
)

func newSchema() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "schema",
		Short:   "Print the scene language's reference",
		Example: "eligen schema | less\neligen schema --json",
		Long: `Print the scene language's reference: every block, argument and function, from the declarations that the parser
uses. It is the same as docs/language.md.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s := dsl.Schema()
			if asJSON {
				return page.JSON(c.OutOrStdout(), s)
			}
			_, err := fmt.Fprint(c.OutOrStdout(), s.Markdown())
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, for programs")
	return c
}
