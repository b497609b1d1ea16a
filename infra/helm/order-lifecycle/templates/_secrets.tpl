{{/* The Secret with the database's URL, as JSON. Takes root and user: api, workers or migrations. */}}
{{- define "order-lifecycle.databaseSecret" -}}
{{- $own := (index .root.Values.database.users .user).existingSecret -}}
{{ ternary .root.Values.database.existingSecret $own (empty $own.name) | toJson }}
{{- end }}

{{/* Whether anybody takes the Secret that is everybody's: "true" or "". */}}
{{- define "order-lifecycle.sharesDatabaseSecret" -}}
{{- range $user, $of := .Values.database.users -}}
{{- if and (empty $of.existingSecret.name) (or (ne $user "migrations") (ne $.Values.migrations.mode "none")) -}}true{{- end -}}
{{- end -}}
{{- end }}

{{/* The existing Secrets that pods need, as JSON: the name of the value, {name, key}. */}}
{{- define "order-lifecycle.secrets" -}}
{{- $found := dict -}}
{{- with .Values -}}
{{- $one := dict
  "temporal.apiKey.existingSecret" .temporal.apiKey.existingSecret
  "encryption.existingSecret" .encryption.existingSecret
  "webhooks.carrier.existingSecret" .webhooks.carrier.existingSecret
  "webhooks.stripe.existingSecret" .webhooks.stripe.existingSecret
  "api.cursorSecret.existingSecret" .api.cursorSecret.existingSecret
  "telemetry.headers.existingSecret" .telemetry.headers.existingSecret
  "temporal.tls.ca.existingSecret" .temporal.tls.ca.existingSecret
  "database.tls.ca.existingSecret" .database.tls.ca.existingSecret -}}
{{- if include "order-lifecycle.sharesDatabaseSecret" $ -}}
{{- $_ := set $one "database.existingSecret" .database.existingSecret -}}
{{- end -}}
{{- range $user, $of := .database.users -}}
{{- $_ := set $one (printf "database.users.%s.existingSecret" $user) $of.existingSecret -}}
{{- end -}}
{{- if eq .payments.provider "stripe" -}}
{{- $_ := set $one "payments.stripe.existingSecret" .payments.stripe.existingSecret -}}
{{- end -}}
{{- if .tests.enabled -}}
{{- $_ := set $one "tests.token.existingSecret" .tests.token.existingSecret -}}
{{- end -}}
{{- range $value, $secret := $one -}}
{{- if $secret.name -}}{{- $_ := set $found $value (dict "name" $secret.name "keys" (list $secret.key)) -}}{{- end -}}
{{- end -}}
{{- range $server := list "temporal" "database" -}}
{{- with (index $.Values $server).tls.client.existingSecret -}}
{{- if .name -}}{{- $_ := set $found (printf "%s.tls.client.existingSecret" $server) (dict "name" .name "keys" (list .certificateKey .keyKey)) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{ toJson $found }}
{{- end }}

{{/* Asks the cluster for them, where there is one to ask and the namespace is there: `helm template` knows of neither. */}}
{{- define "order-lifecycle.guards.secrets" -}}
{{- if and .Values.checks.secrets (lookup "v1" "ServiceAccount" .Release.Namespace "default") }}
{{- range $value, $wanted := include "order-lifecycle.secrets" . | fromJson }}
{{- $secret := lookup "v1" "Secret" $.Release.Namespace $wanted.name }}
{{- $missing := list }}
{{- range $key := $wanted.keys }}
{{- if not (hasKey (($secret).data | default dict) $key) }}
{{- $missing = append $missing $key }}
{{- end }}
{{- end }}
{{- if and $missing $secret }}
{{ $value }}: the Secret {{ $wanted.name }} of the namespace {{ $.Release.Namespace }} has no key {{ join " nor " $missing }}: add it, or name the key that there is
{{- else if $missing }}
{{ $value }}: the namespace {{ $.Release.Namespace }} has no Secret {{ $wanted.name }}: make it by `kubectl --namespace {{ $.Release.Namespace }} create secret generic {{ $wanted.name }}{{ range $missing }} --from-file={{ . }}=FILE{{ end }}`, or set checks.secrets=false where it comes later
{{- end }}
{{- end }}
{{- end }}
{{- end }}
