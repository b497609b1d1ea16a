{{/*
What can't work, or would be open, is refused before anything is changed. Each guard gives lines of what is wrong and what to
do; guards.yaml fails with all of them.
*/}}
{{- define "order-lifecycle.guards.auth" -}}
{{- with .Values.auth }}
{{- if eq .mode "jwt" }}
{{- if not .issuer }}
auth.issuer: auth.mode=jwt needs to know who makes the tokens: set it to their `iss`
{{- end }}
{{- if not .audience }}
auth.audience: auth.mode=jwt needs to know for whom tokens are made: set it to one or more `aud`
{{- end }}
{{- if not .jwksUrl }}
auth.jwksUrl: auth.mode=jwt needs the issuer's public keys: set the https:// address of its JWKS
{{- end }}
{{- if and $.Values.tests.enabled (not $.Values.tests.token.existingSecret.name) }}
tests.token.existingSecret.name: with auth.mode=jwt `helm test` needs a token: name a Secret, or set tests.enabled=false
{{- end }}
{{- else if or .issuer .audience .jwksUrl }}
auth.mode: it is none, but auth.issuer, auth.audience or auth.jwksUrl is set: set it to jwt, or leave them out
{{- end }}
{{- if and (eq .mode "none") (not $.Values.networkPolicy.enabled) (not .acceptNone) }}
networkPolicy.enabled: with auth.mode=none every pod of the cluster could do anything: set it to true, or auth.mode=jwt, or auth.acceptNone=true where something else says who may ask
{{- end }}
{{- end }}
{{- end }}

{{/* Whatever is called after a release begins with the same name; that of a Service (RFC 1035) with a letter. */}}
{{- define "order-lifecycle.guards.names" -}}
{{- if regexMatch "^[0-9]" (include "order-lifecycle.fullname" .) }}
fullnameOverride: objects would be called {{ include "order-lifecycle.fullname" . }}-…, but a Service can't begin with a digit: set it to a name that begins with a letter
{{- end }}
{{- end }}

{{/* A hook runs before anything that the chart makes. What is a hook itself may come first. */}}
{{- define "order-lifecycle.guards.migrations" -}}
{{- if eq .Values.migrations.mode "hook" }}
{{- $url := include "order-lifecycle.databaseSecret" (dict "root" . "user" "migrations") | fromJson }}
{{- $needed := list $url.name .Values.database.tls.ca.existingSecret.name .Values.database.tls.client.existingSecret.name }}
{{- range .Values.extraObjects }}
{{- if and (kindIs "map" .) (has .kind (list "Secret" "ExternalSecret" "SealedSecret")) (not (dig "metadata" "annotations" "helm.sh/hook" "" .)) }}
{{- $name := dig "spec" "target" "name" (dig "metadata" "name" "" .) . }}
{{- if and $name (has $name $needed) }}
migrations.mode: the hook needs the Secret {{ $name }} before extraObjects make it: set migrations.mode=job, or make it beforehand
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Takes key, the name of their values, and of. */}}
{{- define "order-lifecycle.guards.extraEnv" -}}
{{- $seen := dict }}
{{- range .of.extraEnv }}
{{- if hasKey $seen .name }}
{{ $.key }}.extraEnv: {{ .name }} stands there twice: take one out
{{- end }}
{{- $_ := set $seen .name true }}
{{- end }}
{{- end }}

{{- define "order-lifecycle.guards.exposure" -}}
{{- $api := .Values.api }}
{{- if and $api.ingress.enabled $api.httpRoute.enabled }}
api.httpRoute.enabled: there is an Ingress too: set api.ingress.enabled=false, or this
{{- end }}
{{- if and $api.ingress.enabled (not $api.ingress.hosts) }}
api.ingress.hosts: the Ingress leads nowhere: name one host or more
{{- end }}
{{- if and $api.httpRoute.enabled (not $api.httpRoute.parentRefs) }}
api.httpRoute.parentRefs: the HTTPRoute belongs to no Gateway: name one
{{- end }}
{{- range $kind := list "ingress" "httpRoute" }}
{{- if and (index $api $kind).enabled (eq $.Values.auth.mode "none") }}
{{- if not $.Values.auth.acceptNone }}
api.{{ $kind }}.enabled: with auth.mode=none anybody who gets through could do anything: set auth.mode=jwt, or auth.acceptNone=true where something in front says who may ask
{{- else if and $.Values.networkPolicy.enabled (not $.Values.networkPolicy.api.from) }}
networkPolicy.api.from: with auth.mode=none nobody reaches the API: name the pods of the gateway that says who may ask
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "order-lifecycle.guards.connections" -}}
{{- if and (not .Values.database.existingSecret.name) (include "order-lifecycle.sharesDatabaseSecret" .) }}
database.existingSecret.name: name the Secret that has the database's URL, or one for each of database.users
{{- end }}
{{- with .Values.database }}
{{- if and (eq .sslMode "disable") (or .tls.ca.existingSecret.name .tls.client.existingSecret.name) }}
database.sslMode: it is disable, so the certificates of database.tls are not used: set it to verify-full
{{- end }}
{{- if and (eq .sslMode "verify-ca") (not .tls.ca.existingSecret.name) }}
database.tls.ca.existingSecret.name: database.sslMode=verify-ca needs the CA: name the Secret that has it, or take verify-full
{{- end }}
{{- end }}
{{- with .Values.temporal }}
{{- if and .tls.serverName (eq (include "order-lifecycle.temporalTls" $) "false") }}
temporal.tls.serverName: the connection is not encrypted: set temporal.tls.enabled=true
{{- end }}
{{- end }}
{{- if and .Values.telemetry.otlp.metrics (not .Values.telemetry.otlp.endpoint) }}
telemetry.otlp.endpoint: telemetry.otlp.metrics=true needs the collector's address, such as http://otel-collector.monitoring:4318
{{- end }}
{{- if and (eq .Values.payments.provider "stripe") (not .Values.payments.stripe.existingSecret.name) }}
payments.stripe.existingSecret.name: payments.provider=stripe needs a key: name the Secret that has it
{{- end }}
{{- if not .Values.telemetry.prometheus }}
{{- range $monitor := list "podMonitor" "serviceMonitor" }}
{{- if (index $.Values.monitoring $monitor).enabled }}
monitoring.{{ $monitor }}.enabled: there is nothing to fetch: set telemetry.prometheus=true
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* A drain that is cut off costs a try of a step, or an answer. Takes key, of and needed, seconds. */}}
{{- define "order-lifecycle.guards.grace" -}}
{{- if le (int .of.terminationGracePeriodSeconds) (int .needed) }}
{{ .key }}.terminationGracePeriodSeconds: {{ int .of.terminationGracePeriodSeconds }} is not more than the {{ int .needed }} s that {{ .why }}: set {{ add (int .needed) 5 }} or more
{{- end }}
{{- end }}

{{/* What the API and the workers have in common. Takes key, the name of their values, and of. */}}
{{- define "order-lifecycle.guards.pods" -}}
{{- include "order-lifecycle.guards.extraEnv" . }}
{{- with .of }}
{{- if and .podDisruptionBudget.enabled (has (toString .podDisruptionBudget.maxUnavailable) (list "0" "0%")) }}
{{ $.key }}.podDisruptionBudget.maxUnavailable: with 0 no node could be drained: set 1 or more
{{- end }}
{{- if ne .autoscaling.type "none" }}
{{- if gt (int .autoscaling.minReplicas) (int .autoscaling.maxReplicas) }}
{{ $.key }}.autoscaling.maxReplicas: {{ int .autoscaling.maxReplicas }} is less than minReplicas, {{ int .autoscaling.minReplicas }}: raise it
{{- end }}
{{- if and (eq .autoscaling.type "hpa") (not (dig "requests" "cpu" "" .resources)) }}
{{ $.key }}.resources.requests.cpu: autoscaling.type=hpa is by a share of it: set it
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "order-lifecycle.guards.api" -}}
{{- $of := .Values.api }}
{{- $timeout := include "order-lifecycle.secondsOf" (dict "name" "API_TIMEOUT" "default" 10 "maps" (list .Values.settings $of.settings)) }}
{{- $needed := add (int $of.preStopSleepSeconds) ($timeout | float64 | int) 8 }}
{{- include "order-lifecycle.guards.grace" (dict "key" "api" "of" $of "needed" $needed "why" "preStopSleepSeconds, API_TIMEOUT and 8 s for the rest take together") }}
{{- include "order-lifecycle.guards.pods" (dict "key" "api" "of" $of) }}
{{- end }}

{{- define "order-lifecycle.guards.workers" -}}
{{- $workers := include "order-lifecycle.workers" . | fromJson }}
{{- $taken := dict }}
{{- range $worker, $of := $workers }}
{{- $key := printf "workers.%s" $worker }}
{{- range $queue := $of.queues }}
{{- if hasKey $taken $queue }}
{{ $key }}.queues: the queue {{ $queue }} is that of workers.{{ get $taken $queue }} too: take it from one of them
{{- end }}
{{- $_ := set $taken $queue $worker }}
{{- end }}
{{- $drain := include "order-lifecycle.secondsOf" (dict "name" "WORKER_GRACEFUL_SHUTDOWN" "default" 30 "maps" (list $.Values.settings $of.settings)) }}
{{- include "order-lifecycle.guards.grace" (dict "key" $key "of" $of "needed" (add ($drain | float64 | int) 8) "why" "WORKER_GRACEFUL_SHUTDOWN and 8 s for the rest take together") }}
{{- include "order-lifecycle.guards.pods" (dict "key" $key "of" $of) }}
{{- include "order-lifecycle.guards.keda" (dict "root" $ "key" $key "of" $of) }}
{{- end }}
{{- if .Values.checks.queues }}
{{- range $queue := list "orders" "payments" "shipping" }}
{{- if not (hasKey $taken $queue) }}
workers: nobody works on the queue {{ $queue }}, where orders would stand still: add it, or set checks.queues=false where another release does
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Takes root, key, of. */}}
{{- define "order-lifecycle.guards.keda" -}}
{{- if eq .of.autoscaling.type "keda" }}
{{- $temporal := .root.Values.temporal }}
{{- range $queue := .of.queues }}
{{- if not (include "order-lifecycle.queueTypes" (dict "queue" $queue "of" $.of)) }}
{{ $.key }}.queueTypes: KEDA has to know what tasks the queue {{ $queue }} has: set [workflow], [activity] or both
{{- end }}
{{- end }}
{{- if eq .root.Values.workerVersioning.mode "controller" }}
{{ .key }}.autoscaling.type: keda can't scale the versions that Temporal's worker controller runs: take hpa or none
{{- end }}
{{- if and (eq (include "order-lifecycle.temporalTls" .root) "true") (not (include "order-lifecycle.keda.authentication" .root)) }}
{{ .key }}.autoscaling.type: KEDA encrypts its connection to Temporal only with an API key or a client certificate: set temporal.apiKey or temporal.tls.client, or take hpa
{{- end }}
{{- if and $temporal.apiKey.existingSecret.name $temporal.tls.ca.existingSecret.name (not $temporal.tls.client.existingSecret.name) }}
{{ .key }}.autoscaling.type: KEDA with an API key trusts public CAs only: leave out temporal.tls.ca, or take hpa
{{- end }}
{{- end }}
{{- end }}

{{- define "order-lifecycle.guards.versioning" -}}
{{- $mode := .Values.workerVersioning.mode }}
{{- if and .Values.workerVersioning.buildId (ne $mode "env") }}
workerVersioning.buildId: it is for workerVersioning.mode=env: set that, or leave it out
{{- end }}
{{- if and (eq $mode "env") (not .Values.workerVersioning.buildId) }}
{{- range $worker, $of := include "order-lifecycle.workers" . | fromJson }}
{{- if $of.image.digest }}
workerVersioning.buildId: the image of workers.{{ $worker }} has a digest, so its tag is no version: name the version here
{{- else if not (regexMatch "^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$" (include "order-lifecycle.tag" (dict "root" $ "of" $of))) }}
workerVersioning.buildId: the tag of workers.{{ $worker }} can't be a label, which ends in a letter or digit and has 63 of them at most: name the version here
{{- end }}
{{- end }}
{{- end }}
{{- if eq $mode "controller" }}
{{- with .Values.temporal }}
{{- if and .apiKey.existingSecret.name .tls.client.existingSecret.name }}
temporal.apiKey.existingSecret.name: Temporal's worker controller takes an API key or a client certificate: name one Secret of the two
{{- end }}
{{- if and (eq (include "order-lifecycle.temporalTls" $) "true") (not .apiKey.existingSecret.name) (not .tls.client.existingSecret.name) }}
workerVersioning.mode: Temporal's worker controller encrypts its connection only with an API key or a client certificate: set temporal.apiKey or temporal.tls.client, or take env
{{- end }}
{{- if and .apiKey.existingSecret.name .tls.ca.existingSecret.name }}
temporal.tls.ca.existingSecret.name: Temporal's worker controller with an API key trusts public CAs only: leave it out
{{- end }}
{{- with .tls.client.existingSecret }}
{{- if and .name (or (ne .certificateKey "tls.crt") (ne .keyKey "tls.key")) }}
temporal.tls.client.existingSecret: Temporal's worker controller looks for tls.crt and tls.key: make a Secret with these keys
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
