{{/* The entries of `workers` that are enabled, over workerDefaults, as JSON: name, values. */}}
{{- define "order-lifecycle.workers" -}}
{{- $workers := dict -}}
{{- range $name, $given := .Values.workers -}}
{{- if kindIs "map" $given -}}
{{- $worker := mergeOverwrite (deepCopy $.Values.workerDefaults) (deepCopy $given) -}}
{{- if $worker.enabled -}}
{{- $_ := set $worker "queues" ($worker.queues | default (list $name)) -}}
{{- $_ := set $workers $name $worker -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{ toJson $workers }}
{{- end }}

{{/* The kinds of tasks that a queue has, with commas; orders/contracts.py has the same. Takes queue and of, its entry. */}}
{{- define "order-lifecycle.queueTypes" -}}
{{- $known := dict "orders" "workflow" "payments" "activity" "shipping" "workflow,activity" -}}
{{ join "," .of.queueTypes | default (get $known .queue) }}
{{- end }}

{{/* Whether a worker gets what the payment provider asks for: "true" or nothing. */}}
{{- define "order-lifecycle.takesPayments" -}}
{{- if has "payments" .queues -}}true{{- end -}}
{{- end }}

{{/* What the pod of a worker takes, but for root and of, as JSON. Takes root, worker, of. */}}
{{- define "order-lifecycle.worker.pod" -}}
{{- $ports := list "- {name: probes, containerPort: 8081}" -}}
{{- if .root.Values.telemetry.prometheus -}}{{- $ports = append $ports "- {name: metrics, containerPort: 9464}" -}}{{- end -}}
{{- $account := include "order-lifecycle.serviceAccountName" (dict "of" .of "name" (include "order-lifecycle.workerName" .)) -}}
{{- toJson (dict
  "component" "worker"
  "worker" .worker
  "buildId" (ternary (include "order-lifecycle.buildId" .) "" (eq .root.Values.workerVersioning.mode "env"))
  "name" "worker"
  "args" .of.queues
  "env" (include "order-lifecycle.worker.env" .)
  "servers" (list "temporal" "database")
  "controlled" (eq .root.Values.workerVersioning.mode "controller")
  "ports" (join "\n" $ports)
  "probes" (include "order-lifecycle.probes" "probes")
  "grace" .of.terminationGracePeriodSeconds
  "spread" true
  "initContainer" (include "order-lifecycle.initContainer" .root)
  "serviceAccountName" $account) -}}
{{- end }}
