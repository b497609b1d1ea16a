{{- define "order-lifecycle.name" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* What the names of all objects begin with; short enough for what comes behind it. */}}
{{- define "order-lifecycle.fullname" -}}
{{- $name := include "order-lifecycle.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{ .Values.fullnameOverride | default $full | replace "." "-" | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* The name of a worker's objects. Takes root and worker, the entry's name. */}}
{{- define "order-lifecycle.workerName" -}}
{{ printf "%s-worker-%s" (include "order-lifecycle.fullname" .root) .worker | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Takes root, worker, of, its entry. */}}
{{- define "order-lifecycle.buildId" -}}
{{ .root.Values.workerVersioning.buildId | default (include "order-lifecycle.tag" .) }}
{{- end }}

{{/* The name of a worker's Deployment: with workerVersioning.mode=env one for each version. Takes root, worker, of. */}}
{{- define "order-lifecycle.deploymentName" -}}
{{- $name := include "order-lifecycle.workerName" . -}}
{{- if eq .root.Values.workerVersioning.mode "env" -}}
{{- $id := include "order-lifecycle.buildId" . -}}
{{- $versioned := printf "%s-%s" $name ($id | replace "." "-") -}}
{{- if and (le (len $versioned) 63) (regexMatch "^[-a-z0-9]*[a-z0-9]$" $versioned) -}}
{{- $name = $versioned -}}
{{- else -}}
{{- $name = printf "%s-%s" ($name | trunc 54 | trimSuffix "-") (printf "%s %s" .worker $id | sha256sum | trunc 8) -}}
{{- end -}}
{{- end -}}
{{ $name }}
{{- end }}

{{/* What pods are selected by. Takes root, component, worker where it is one entry of them, and buildId where it is one version. */}}
{{- define "order-lifecycle.selector" -}}
app.kubernetes.io/name: {{ include "order-lifecycle.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- with .worker }}
order-lifecycle/worker: {{ . }}
{{- end }}
{{- with .buildId }}
order-lifecycle/build-id: {{ . | quote }}
{{- end }}
{{- end }}

{{/* Labels of objects. Takes what order-lifecycle.selector takes. */}}
{{- define "order-lifecycle.labels" -}}
{{ include "order-lifecycle.selector" . }}
app.kubernetes.io/part-of: order-lifecycle
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Name, namespace, labels and annotations of an object. Takes root, name, component, worker, and further annotations and labels. */}}
{{- define "order-lifecycle.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "order-lifecycle.labels" . | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with mergeOverwrite (dict) .root.Values.commonAnnotations (.annotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* An image. Takes root and of, its component's values. */}}
{{- define "order-lifecycle.image" -}}
{{- $image := .of.image -}}
{{- $repository := ternary (printf "%s/%s" .root.Values.image.registry $image.repository) $image.repository (not (empty .root.Values.image.registry)) -}}
{{- if $image.digest -}}
{{ $repository }}@{{ $image.digest }}
{{- else -}}
{{ $repository }}:{{ include "order-lifecycle.tag" . }}
{{- end }}
{{- end }}

{{- define "order-lifecycle.tag" -}}
{{ .of.image.tag | default .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{/* The name of a ServiceAccount. Takes of, its component's values, and name, that of its objects. */}}
{{- define "order-lifecycle.serviceAccountName" -}}
{{ .of.serviceAccount.name | default (ternary .name "default" .of.serviceAccount.create) }}
{{- end }}

{{- define "order-lifecycle.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "order-lifecycle.metadata" (merge (dict "name" (include "order-lifecycle.serviceAccountName" .) "annotations" .of.serviceAccount.annotations) .) | nindent 2 }}
automountServiceAccountToken: false
{{- end }}
