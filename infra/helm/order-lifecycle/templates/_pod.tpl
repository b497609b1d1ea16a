{{/* Which certificates are there, as JSON: volume, {secret, keys}. Takes root and servers: temporal, database. */}}
{{- define "order-lifecycle.certificates" -}}
{{- $found := dict -}}
{{- range $server := .servers -}}
{{- $tls := (get $.root.Values $server).tls -}}
{{- with $tls.ca.existingSecret -}}
{{- if .name -}}{{- $_ := set $found (printf "%s-ca" $server) (dict "secret" .name "keys" (list .key)) -}}{{- end -}}
{{- end -}}
{{- with $tls.client.existingSecret -}}
{{- if and .name (not (and (eq $server "temporal") $.controlled)) -}}
{{- $_ := set $found (printf "%s-client" $server) (dict "secret" .name "keys" (list .certificateKey .keyKey)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{ toJson $found }}
{{- end }}

{{- define "order-lifecycle.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* One container. Takes root, of, its component's values, name, env, servers, and where there are args, ports, probes, preStop. */}}
{{- define "order-lifecycle.container" -}}
name: {{ .name }}
image: {{ include "order-lifecycle.image" . }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
{{- with .args }}
args: {{ toJson . }}
{{- end }}
env:
  {{- .env | trim | nindent 2 }}
{{- with .ports }}
ports:
  {{- . | nindent 2 }}
{{- end }}
{{- with .probes }}
{{ . }}
{{- end }}
{{- with .preStop }}
lifecycle:
  preStop:
    sleep: {seconds: {{ int . }}}
{{- end }}
resources:
  {{- toYaml .of.resources | nindent 2 }}
securityContext:
  {{- include "order-lifecycle.containerSecurity" . | nindent 2 }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  {{- range $volume, $_ := include "order-lifecycle.certificates" . | fromJson }}
  - {name: {{ $volume }}, mountPath: /etc/order-lifecycle/{{ $volume }}, readOnly: true}
  {{- end }}
{{- end }}

{{/* Startup, liveness and readiness. Takes the name of a port. */}}
{{- define "order-lifecycle.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: {{ . }}}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: {{ . }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: {{ . }}}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
{{- end }}

{{/* What stands in a pod's template: labels that a new chart does not change, so that it alone rolls nothing. Takes root, component, worker, of. */}}
{{- define "order-lifecycle.podMetadata" -}}
labels:
  {{- include "order-lifecycle.selector" . | nindent 2 }}
  {{- with mergeOverwrite (dict) .root.Values.commonLabels (.of.podLabels | default dict) }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .of.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/*
A pod of one container. Takes what order-lifecycle.container takes, component and worker, and where there are
serviceAccountName, restartPolicy, grace (seconds), initContainer and spread (true).
*/}}
{{- define "order-lifecycle.pod" -}}
serviceAccountName: {{ .serviceAccountName | default "default" }}
automountServiceAccountToken: false
# The variables that Kubernetes makes of Services are not ours.
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
{{- with .restartPolicy }}
restartPolicy: {{ . }}
{{- end }}
{{- with .grace }}
terminationGracePeriodSeconds: {{ int . }}
{{- end }}
{{- with .of.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .of.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .of.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .of.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .of.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml .of.topologySpreadConstraints | nindent 2 }}
{{- else if .spread }}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- include "order-lifecycle.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}
{{- with .initContainer }}
initContainers:
  - {{ . | nindent 4 | trim }}
{{- end }}
containers:
  - {{ include "order-lifecycle.container" . | nindent 4 | trim }}
volumes:
  - name: tmp
    emptyDir: {sizeLimit: 64Mi}
  {{- range $volume, $certificate := include "order-lifecycle.certificates" . | fromJson }}
  - name: {{ $volume }}
    secret:
      secretName: {{ $certificate.secret }}
      defaultMode: 0440
      items:
        {{- range $certificate.keys }}
        - {key: {{ . }}, path: {{ . }}}
        {{- end }}
  {{- end }}
{{- end }}
