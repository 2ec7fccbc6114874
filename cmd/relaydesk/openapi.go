package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/relaydesk/relaydesk/api"
	"github.com/relaydesk/relaydesk/openapi"
)

func openapiCommand() *cobra.Command {
	var old bool
	c := &cobra.Command{
		Use: "openapi", Short: "print the API's document", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			doc31, doc30, err := openapi.Publish(api.Document())
			if err != nil {
				return err
			}
			if old {
				doc31 = doc30
			}
			if _, err := os.Stdout.Write(doc31); err != nil {
				return fmt.Errorf("print the document: %w", err)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&old, "3.0", false, "as OpenAPI 3.0.3, for tools that don't read 3.1")
	return c
}
