{{- define "countersign.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "countersign.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "countersign.labels" -}}
{{ include "countersign.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "countersign.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* The listeners: name, port, environment variable. One list for the container, the Service and the policy. */}}
{{- define "countersign.listeners" -}}
- {name: grpc-tls, port: 50051, variable: COUNTERSIGN_SERVER__TLS_ADDRESS}
- {name: grpc-mtls, port: 50052, variable: COUNTERSIGN_SERVER__MTLS_ADDRESS}
- {name: https, port: 8443, variable: COUNTERSIGN_SERVER__HTTPS_ADDRESS}
- {name: https-mtls, port: 8444, variable: COUNTERSIGN_SERVER__HTTPS_MTLS_ADDRESS}
{{- end -}}
