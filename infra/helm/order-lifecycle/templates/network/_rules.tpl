{{/* The port of a URL or of host:port. */}}
{{- define "order-lifecycle.port" -}}
{{ regexFind ":[0-9]+(/|$)" . | trimAll ":/" | default (ternary "443" "80" (hasPrefix "https:" .)) }}
{{- end }}

{{/* Lets out to some peers; none are all. Takes to and port. */}}
{{- define "order-lifecycle.egress" -}}
- ports:
    - {protocol: TCP, port: {{ int .port }}}
  {{- with .to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- define "order-lifecycle.egress.dns" -}}
- ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
  {{- with .Values.networkPolicy.dns.to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- define "order-lifecycle.egress.database" -}}
{{ include "order-lifecycle.egress" .Values.networkPolicy.database }}
{{- end }}

{{/* DNS, PostgreSQL, Temporal and the collector: what the API and the workers need alike. */}}
{{- define "order-lifecycle.egress.servers" -}}
{{- $network := .Values.networkPolicy -}}
{{ include "order-lifecycle.egress.dns" . }}
{{ include "order-lifecycle.egress.database" . }}
{{ include "order-lifecycle.egress" (dict "to" $network.temporal.to "port" (int $network.temporal.port | default (include "order-lifecycle.port" .Values.temporal.address))) }}
{{- with .Values.telemetry.otlp.endpoint }}
{{ include "order-lifecycle.egress" (dict "to" $network.telemetry.to "port" (int $network.telemetry.port | default (include "order-lifecycle.port" .))) }}
{{- end }}
{{- end }}

{{/* Lets in whoever may fetch metrics; nobody where none are named. */}}
{{- define "order-lifecycle.ingress.metrics" -}}
{{- if and .Values.telemetry.prometheus .Values.networkPolicy.metrics.from -}}
- ports:
    - {protocol: TCP, port: 9464}
  from:
    {{- toYaml .Values.networkPolicy.metrics.from | nindent 4 }}
{{- end }}
{{- end }}

{{/* A NetworkPolicy. Takes root, name, component, worker, and egress and ingress, lists of rules as text. */}}
{{- define "order-lifecycle.networkPolicy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "order-lifecycle.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "order-lifecycle.selector" . | nindent 6 }}
  policyTypes: {{ ternary "[Ingress, Egress]" "[Egress]" (not (empty (.ingress | default "" | trim))) }}
  {{- with .ingress | default "" | trim }}
  ingress:
    {{- . | nindent 4 }}
  {{- end }}
  egress:
    {{- .egress | trim | nindent 4 }}
{{- end }}

{{/* Who may ask the API. Takes root, from, a list of peers, and anybody, which says that it is no matter. */}}
{{- define "order-lifecycle.ingress.api" -}}
{{- if or .anybody .from }}
- ports:
    - {protocol: TCP, port: 8000}
  {{- if not .anybody }}
  from:
    {{- toYaml .from | nindent 4 }}
  {{- end }}
{{- end }}
{{ include "order-lifecycle.ingress.metrics" .root }}
{{- end }}

{{- define "order-lifecycle.egress.api" -}}
{{ include "order-lifecycle.egress.servers" . }}
{{- if eq .Values.auth.mode "jwt" }}
{{- with .Values.networkPolicy.issuer }}
{{ include "order-lifecycle.egress" (dict "to" .to "port" (int .port | default (include "order-lifecycle.port" $.Values.auth.jwksUrl))) }}
{{- end }}
{{- end }}
{{- end }}
