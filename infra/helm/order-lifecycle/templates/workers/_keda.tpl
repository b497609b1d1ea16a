{{/* The name of what KEDA proves itself to Temporal with; empty where Temporal asks for nothing. */}}
{{- define "order-lifecycle.keda.authentication" -}}
{{- with .Values.temporal -}}
{{- if or .apiKey.existingSecret.name .tls.client.existingSecret.name -}}
{{ include "order-lifecycle.fullname" $ }}-temporal
{{- end -}}
{{- end -}}
{{- end }}

{{/* The triggers of one queue: what waits in it, and how many slots are busy. Takes root, worker, of, queue. */}}
{{- define "order-lifecycle.keda.triggers" -}}
{{- $temporal := .root.Values.temporal -}}
{{- $keda := .of.autoscaling.keda -}}
- type: temporal
  metadata:
    endpoint: {{ $temporal.address | quote }}
    namespace: {{ $temporal.namespace | quote }}
    taskQueue: {{ .queue | quote }}
    queueTypes: {{ include "order-lifecycle.queueTypes" . | quote }}
    targetQueueSize: {{ int $keda.targetQueueSize | quote }}
    activationTargetQueueSize: "0"
    enableTLS: {{ include "order-lifecycle.temporalTls" .root | quote }}
    unsafeSsl: "false"
    {{- with $temporal.tls.serverName }}
    tlsServerName: {{ . | quote }}
    {{- end }}
    {{- if eq .root.Values.workerVersioning.mode "env" }}
    workerDeploymentName: {{ include "order-lifecycle.workerName" . }}
    workerDeploymentBuildId: {{ include "order-lifecycle.buildId" . | quote }}
    {{- end }}
  {{- with include "order-lifecycle.keda.authentication" .root }}
  authenticationRef: {name: {{ . }}}
  {{- end }}
{{- with $keda.prometheus }}
{{- if .serverAddress }}
{{- $of := printf "{namespace=%q, task_queue=%q}" $.root.Release.Namespace $.queue }}
{{- $used := printf "sum by (worker_type) (temporal_worker_task_slots_used%s)" $of }}
{{- $free := printf "sum by (worker_type) (temporal_worker_task_slots_available%s)" $of }}
- type: prometheus
  # A share does not grow with the pods: Value compares it as it is.
  metricType: Value
  metadata:
    serverAddress: {{ .serverAddress | quote }}
    query: {{ printf "100 * max(%s / (%s + %s))" $used $used $free | squote }}
    threshold: {{ int .slotsUsed | quote }}
{{- end }}
{{- end }}
{{- end }}
