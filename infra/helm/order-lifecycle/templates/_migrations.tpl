{{/* What the container of the migrations takes. */}}
{{- define "order-lifecycle.migrations" -}}
{{- $env := include "order-lifecycle.migrations.env" . -}}
{{- $args := ternary (list "--catalogue") (list) .Values.migrations.exampleCatalogue -}}
{{ toJson (dict "component" "migrations" "name" "migrations" "args" $args "env" $env "servers" (list "database")) }}
{{- end }}

{{/* The container by which each pod migrates first, with migrations.mode=init. */}}
{{- define "order-lifecycle.initContainer" -}}
{{- if eq .Values.migrations.mode "init" -}}
{{ include "order-lifecycle.container" (merge (dict "root" . "of" .Values.migrations) (include "order-lifecycle.migrations" . | fromJson)) }}
{{- end }}
{{- end }}

{{- define "order-lifecycle.migrations.jobSpec" -}}
{{- $of := .Values.migrations -}}
{{- $deadline := int $of.activeDeadlineSeconds | default (ternary 180 3600 (eq $of.mode "hook")) -}}
{{- $pod := merge (dict "root" . "of" $of "restartPolicy" "Never" "grace" $of.terminationGracePeriodSeconds) (include "order-lifecycle.migrations" . | fromJson) -}}
activeDeadlineSeconds: {{ $deadline }}
backoffLimit: {{ int $of.backoffLimit }}
template:
  metadata:
    {{- include "order-lifecycle.podMetadata" $pod | nindent 4 }}
  spec:
    {{- include "order-lifecycle.pod" $pod | nindent 4 }}
{{- end }}
