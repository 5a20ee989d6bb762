// Command helm_template prints what Helm would send to a cluster for a chart without dependencies.
//
//	go run . CHART [VALUES]    VALUES is a YAML file that is laid over the chart's own values
//
// It is the part of `helm template` that this chart uses, as Helm itself does it: text/template with the functions of
// sprig, and include, required, toYaml and fromYamlArray. An unknown function or a syntax error ends it with 1. Helm
// as a whole takes minutes to compile.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
	"sigs.k8s.io/yaml"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: helm_template CHART [VALUES]")
		os.Exit(2)
	}
	if err := render(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func render(chart string, overrides []string) error {
	values := map[string]any{}
	for _, file := range append([]string{filepath.Join(chart, "values.yaml")}, overrides...) {
		var layer map[string]any
		if err := read(file, &layer); err != nil {
			return err
		}
		merge(values, layer)
	}
	var description struct{ Name, Version, AppVersion string }
	if err := read(filepath.Join(chart, "Chart.yaml"), &description); err != nil {
		return err
	}
	data := map[string]any{
		"Values":  values,
		"Chart":   description,
		"Release": map[string]any{"Name": "trial", "Namespace": "default", "Service": "Helm"},
	}
	files, err := filepath.Glob(filepath.Join(chart, "templates", "*"))
	if err != nil {
		return err
	}
	all := template.New("chart")
	all.Funcs(functions(all))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if _, err := all.New(filepath.Base(file)).Parse(string(text)); err != nil {
			return err
		}
	}
	for _, file := range files {
		if !strings.HasSuffix(file, ".yaml") {
			continue
		}
		var out bytes.Buffer
		if err := all.ExecuteTemplate(&out, filepath.Base(file), data); err != nil {
			return err
		}
		// Helm prints a missing value as nothing, which hides a wrong name.
		if strings.Contains(out.String(), "<no value>") {
			return fmt.Errorf("%s uses a value that does not exist:\n%s", file, out.String())
		}
		fmt.Printf("---\n# %s\n%s\n", filepath.Base(file), out.String())
	}
	return nil
}

func functions(all *template.Template) template.FuncMap {
	known := sprig.TxtFuncMap()
	delete(known, "env") // As Helm does: a chart reads nothing of the machine.
	delete(known, "expandenv")
	known["include"] = func(name string, data any) (string, error) {
		var out strings.Builder
		err := all.ExecuteTemplate(&out, name, data)
		return out.String(), err
	}
	known["required"] = func(message string, value any) (any, error) {
		if value == nil || value == "" {
			return nil, errors.New(message)
		}
		return value, nil
	}
	known["toYaml"] = func(value any) (string, error) {
		text, err := yaml.Marshal(value)
		return strings.TrimSuffix(string(text), "\n"), err
	}
	known["fromYamlArray"] = func(text string) ([]any, error) {
		var items []any
		err := yaml.Unmarshal([]byte(text), &items)
		return items, err
	}
	return known
}

func read(file string, into any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// merge lays one set of values over another, maps by their keys.
func merge(values, over map[string]any) {
	for key, value := range over {
		below, isMap := values[key].(map[string]any)
		above, overMap := value.(map[string]any)
		if isMap && overMap {
			merge(below, above)
		} else {
			values[key] = value
		}
	}
}
