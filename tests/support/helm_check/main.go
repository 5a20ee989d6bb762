// Command helm_check does with a chart what Helm does before it sends anything to a cluster, with Helm's own packages.
//
//	go run . CHART [VALUES]    VALUES is a YAML file that is laid over the chart's own values
//
// It lints the chart, renders it, and reads every object as Kubernetes itself would, strictly: an unknown kind, an
// unknown field or a value of another type is found. It prints the objects, or ends with 1 and says what is wrong.
package main

import (
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	"helm.sh/helm/v3/pkg/releaseutil"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
)

const namespace = "default"

// That of the API packages in go.mod; Helm's own guess is an old one unless it is told.
var kubernetes = chartutil.KubeVersion{Version: "v1.37.0", Major: "1", Minor: "37"}

func main() {
	if len(os.Args) < 2 || len(os.Args) > 3 {
		fmt.Fprintln(os.Stderr, "usage: helm_check CHART [VALUES]")
		os.Exit(2)
	}
	if err := check(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func check(chart string, files []string) error {
	values := map[string]any{}
	for _, file := range files {
		read, err := chartutil.ReadValuesFile(file)
		if err != nil {
			return err
		}
		values = read
	}
	for _, message := range lint.AllWithKubeVersion(chart, values, namespace, &kubernetes).Messages {
		if message.Severity >= support.WarningSev {
			return message
		}
	}
	objects, err := render(chart, values)
	if err != nil {
		return err
	}
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	for _, each := range objects {
		if _, _, err := decoder.Decode([]byte(each), nil, nil); err != nil {
			return fmt.Errorf("%w, in:\n%s", err, each)
		}
		fmt.Printf("---\n%s\n", each)
	}
	return nil
}

// render is what `helm template` prints, object by object.
func render(name string, values map[string]any) ([]string, error) {
	chart, err := loader.Load(name)
	if err != nil {
		return nil, err
	}
	release := chartutil.ReleaseOptions{Name: "trial", Namespace: namespace, IsInstall: true}
	if !chartutil.IsCompatibleRange(chart.Metadata.KubeVersion, kubernetes.Version) {
		return nil, fmt.Errorf("the chart is not for Kubernetes %s", kubernetes.Version)
	}
	capabilities := chartutil.DefaultCapabilities.Copy()
	capabilities.KubeVersion = kubernetes
	all, err := chartutil.ToRenderValues(chart, values, release, capabilities)
	if err != nil {
		return nil, err
	}
	// Strict: Helm prints a missing value as nothing, which hides a wrong name.
	rendered, err := engine.Engine{Strict: true}.Render(chart, all)
	if err != nil {
		return nil, err
	}
	var objects []string
	for _, file := range slices.Sorted(maps.Keys(rendered)) {
		if path.Ext(file) != ".yaml" {
			continue
		}
		parts := releaseutil.SplitManifests(rendered[file])
		for _, part := range slices.Sorted(maps.Keys(parts)) {
			if strings.TrimSpace(parts[part]) != "" {
				objects = append(objects, parts[part])
			}
		}
	}
	return objects, nil
}
