{{/* Fewest pods of a component. Takes its values. */}}
{{- define "order-lifecycle.fewest" -}}
{{ ternary .replicas .autoscaling.minReplicas (eq .autoscaling.type "none") | int }}
{{- end }}

{{/* Takes root, name, component, worker, of. */}}
{{- define "order-lifecycle.podDisruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "order-lifecycle.metadata" . | nindent 2 }}
spec:
  maxUnavailable: {{ toJson .of.podDisruptionBudget.maxUnavailable }}
  # What is not ready serves nobody, and is not to keep a node from being drained.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "order-lifecycle.selector" . | nindent 6 }}
{{- end }}

{{- define "order-lifecycle.hasPodDisruptionBudget" -}}
{{- if and .podDisruptionBudget.enabled (gt (include "order-lifecycle.fewest" . | int) 1) -}}true{{- end -}}
{{- end }}

{{/* How fast it goes up and down. Takes the values of autoscaling. */}}
{{- define "order-lifecycle.behavior" -}}
{{- if .behavior -}}
{{ toYaml .behavior }}
{{- else -}}
scaleUp:
  stabilizationWindowSeconds: 0
  policies:
    - {type: Percent, value: 100, periodSeconds: 15}
scaleDown:
  stabilizationWindowSeconds: 300
  policies:
    - {type: Pods, value: 1, periodSeconds: 60}
{{- end }}
{{- end }}

{{/* All of a HorizontalPodAutoscaler's spec but its target. Takes the values of autoscaling. */}}
{{- define "order-lifecycle.hpa" -}}
minReplicas: {{ int .minReplicas }}
maxReplicas: {{ int .maxReplicas }}
metrics:
  - type: Resource
    resource:
      name: cpu
      target: {type: Utilization, averageUtilization: {{ int .cpu }}}
behavior:
  {{- include "order-lifecycle.behavior" . | nindent 2 }}
{{- end }}
