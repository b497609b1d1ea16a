{{/* A value as a variable has it. Helm keeps numbers as floats, which print as 1e+07. */}}
{{- define "order-lifecycle.text" -}}
{{ ternary . (toJson .) (kindIs "string" .) }}
{{- end }}

{{/* The variables of a container. Takes plain (name: value), secret (name: {name, key}) and extra, a list. */}}
{{- define "order-lifecycle.env" -}}
{{- range $name, $value := .plain }}
{{- if not (kindIs "invalid" $value) }}
- name: {{ $name }}
  value: {{ include "order-lifecycle.text" $value | quote }}
{{- end }}
{{- end }}
{{- range $name, $secret := .secret }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef: {name: {{ $secret.name }}, key: {{ $secret.key }}}
{{- end }}
{{- range .extra }}
- {{ toYaml . | nindent 2 | trim }}
{{- end }}
{{- end }}

{{/* Whether the connection to Temporal is encrypted: "true" or "false". */}}
{{- define "order-lifecycle.temporalTls" -}}
{{- with .Values.temporal -}}
{{ or .tls.enabled (not (empty .apiKey.existingSecret.name)) (not (empty .tls.ca.existingSecret.name)) (not (empty .tls.client.existingSecret.name)) }}
{{- end -}}
{{- end }}

{{- define "order-lifecycle.plain.temporal" -}}
{{- with .Values.temporal -}}
TEMPORAL_ADDRESS: {{ .address | quote }}
TEMPORAL_NAMESPACE: {{ .namespace | quote }}
TEMPORAL_TLS: {{ include "order-lifecycle.temporalTls" $ | quote }}
{{- with .tls.serverName }}
TEMPORAL_TLS_SERVER_NAME: {{ . | quote }}
{{- end }}
{{- with .tls.client.existingSecret }}
{{- if .name }}
TEMPORAL_TLS_CLIENT_CERT_PATH: /etc/order-lifecycle/temporal-client/{{ .certificateKey }}
TEMPORAL_TLS_CLIENT_KEY_PATH: /etc/order-lifecycle/temporal-client/{{ .keyKey }}
{{- end }}
{{- end }}
{{- end }}
{{ include "order-lifecycle.plain.temporalCa" . }}
{{- end }}

{{- define "order-lifecycle.plain.temporalCa" -}}
{{- with .Values.temporal.tls.ca.existingSecret }}
{{- if .name -}}
TEMPORAL_TLS_SERVER_CA_CERT_PATH: /etc/order-lifecycle/temporal-ca/{{ .key }}
{{- end }}
{{- end }}
{{- end }}

{{- define "order-lifecycle.plain.database" -}}
{{- with .Values.database -}}
{{- with .sslMode }}
PGSSLMODE: {{ . }}
{{- end }}
{{- with .tls.ca.existingSecret }}
{{- if .name }}
PGSSLROOTCERT: /etc/order-lifecycle/database-ca/{{ .key }}
{{- end }}
{{- end }}
{{- with .tls.client.existingSecret }}
{{- if .name }}
PGSSLCERT: /etc/order-lifecycle/database-client/{{ .certificateKey }}
PGSSLKEY: /etc/order-lifecycle/database-client/{{ .keyKey }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "order-lifecycle.plain.telemetry" -}}
{{- with .Values.telemetry -}}
{{- $metrics := list -}}
{{- if .prometheus -}}{{- $metrics = append $metrics "prometheus" -}}{{- end -}}
{{- if .otlp.metrics -}}{{- $metrics = append $metrics "otlp" -}}{{- end -}}
OTEL_METRICS_EXPORTER: {{ join "," $metrics | default "none" }}
{{- if .prometheus }}
OTEL_EXPORTER_PROMETHEUS_HOST: 0.0.0.0
OTEL_EXPORTER_PROMETHEUS_PORT: "9464"
{{- end }}
{{- with .otlp.endpoint }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "order-lifecycle.plain.api" -}}
API_HOST: 0.0.0.0
API_PORT: "8000"
{{- with .Values.auth }}
AUTH_MODE: {{ .mode }}
{{- if eq .mode "none" }}
# Who may ask is what the NetworkPolicy lets in.
AUTH_NONE_I_MEAN_IT: "true"
{{- else }}
AUTH_ISSUER: {{ .issuer | quote }}
AUTH_AUDIENCE: {{ join "," .audience | quote }}
AUTH_JWKS_URL: {{ .jwksUrl | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* Takes root, worker, of, its entry. */}}
{{- define "order-lifecycle.plain.worker" -}}
WORKER_HEALTH_HOST: 0.0.0.0
WORKER_HEALTH_PORT: "8081"
{{- if eq .root.Values.workerVersioning.mode "env" }}
WORKER_DEPLOYMENT_NAME: {{ include "order-lifecycle.workerName" . }}
WORKER_BUILD_ID: {{ include "order-lifecycle.buildId" . | quote }}
{{- end }}
{{- if include "order-lifecycle.takesPayments" .of }}
PAYMENT_PROVIDER: {{ .root.Values.payments.provider }}
{{- end }}
{{- end }}

{{/* The existing Secrets among these, as JSON: variable, {name, key}. Takes a dict of them. */}}
{{- define "order-lifecycle.named" -}}
{{- $named := dict -}}
{{- range $variable, $secret := . -}}
{{- if $secret.name -}}{{- $_ := set $named $variable $secret -}}{{- end -}}
{{- end -}}
{{ toJson $named }}
{{- end }}

{{- define "order-lifecycle.api.env" -}}
{{- $plain := mergeOverwrite (dict) .Values.settings .Values.api.settings -}}
{{- range $part := list "temporal" "database" "telemetry" "api" -}}
{{- $plain = mergeOverwrite $plain (include (printf "order-lifecycle.plain.%s" $part) $ | fromYaml) -}}
{{- end -}}
{{- with .Values -}}
{{- $secret := dict
  "DATABASE_URL" (include "order-lifecycle.databaseSecret" (dict "root" $ "user" "api") | fromJson)
  "TEMPORAL_API_KEY" .temporal.apiKey.existingSecret
  "ENCRYPTION_KEYS" .encryption.existingSecret
  "API_CURSOR_SECRET" .api.cursorSecret.existingSecret
  "CARRIER_WEBHOOK_SECRETS" .webhooks.carrier.existingSecret
  "STRIPE_WEBHOOK_SECRETS" .webhooks.stripe.existingSecret
  "OTEL_EXPORTER_OTLP_HEADERS" .telemetry.headers.existingSecret -}}
{{ include "order-lifecycle.env" (dict "plain" $plain "secret" (include "order-lifecycle.named" $secret | fromJson) "extra" .api.extraEnv) }}
{{- end }}
{{- end }}

{{/* Takes root, worker, of, its entry. Temporal's worker controller gives what it connects with by itself, but for the CA. */}}
{{- define "order-lifecycle.worker.env" -}}
{{- $controlled := eq .root.Values.workerVersioning.mode "controller" -}}
{{- $plain := mergeOverwrite (dict) .root.Values.settings .of.settings (include "order-lifecycle.plain.worker" . | fromYaml) -}}
{{- range $part := list (ternary "temporalCa" "temporal" $controlled) "database" "telemetry" -}}
{{- $plain = mergeOverwrite $plain (include (printf "order-lifecycle.plain.%s" $part) $.root | fromYaml) -}}
{{- end -}}
{{- $secret := dict
  "DATABASE_URL" (include "order-lifecycle.databaseSecret" (dict "root" .root "user" "workers") | fromJson)
  "ENCRYPTION_KEYS" .root.Values.encryption.existingSecret
  "OTEL_EXPORTER_OTLP_HEADERS" .root.Values.telemetry.headers.existingSecret -}}
{{- if not $controlled -}}
{{- $_ := set $secret "TEMPORAL_API_KEY" .root.Values.temporal.apiKey.existingSecret -}}
{{- end -}}
{{- if and (eq .root.Values.payments.provider "stripe") (include "order-lifecycle.takesPayments" .of) -}}
{{- $_ := set $secret "STRIPE_API_KEY" .root.Values.payments.stripe.existingSecret -}}
{{- end -}}
{{ include "order-lifecycle.env" (dict "plain" $plain "secret" (include "order-lifecycle.named" $secret | fromJson) "extra" .of.extraEnv) }}
{{- end }}

{{- define "order-lifecycle.migrations.env" -}}
{{- $shared := pick .Values.settings "LOG_LEVEL" "LOG_FORMAT" "DATABASE_TIMEOUT" "DATABASE_AUTH" "DATABASE_SECRET_ARN" -}}
{{- $plain := mergeOverwrite $shared (include "order-lifecycle.plain.database" . | fromYaml) -}}
{{- $url := include "order-lifecycle.databaseSecret" (dict "root" . "user" "migrations") | fromJson -}}
{{ include "order-lifecycle.env" (dict "plain" $plain "secret" (dict "DATABASE_URL" $url)) }}
{{- end }}
