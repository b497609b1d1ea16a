{{/* A time in seconds, rounded up, as orders/settings reads it: 30, "0.5", PT1M30S, P1D or 00:01:30; the schema lets nothing else through. */}}
{{- define "order-lifecycle.seconds" -}}
{{- $text := include "order-lifecycle.text" . -}}
{{- if regexMatch "^[0-9]+(\\.[0-9]+)?$" $text -}}
{{ ceil (float64 $text) }}
{{- else if regexMatch "^[0-9]+:[0-9]+:[0-9]+(\\.[0-9]+)?$" $text -}}
{{- $parts := splitList ":" $text -}}
{{ ceil (addf (mulf 3600 (float64 (index $parts 0))) (mulf 60 (float64 (index $parts 1))) (float64 (index $parts 2))) }}
{{- else -}}
{{- $sum := 0.0 -}}
{{- range $unit, $seconds := dict "D" 86400 "H" 3600 "M" 60 "S" 1 -}}
{{- $sum = addf $sum (mulf $seconds (regexFind (printf "[0-9.]+%s" $unit) $text | trimSuffix $unit | default "0" | float64)) -}}
{{- end -}}
{{ ceil $sum }}
{{- end -}}
{{- end }}

{{/* The seconds of a setting. Takes name, default, and maps, in which it is looked for one after the other. */}}
{{- define "order-lifecycle.secondsOf" -}}
{{- $value := .default -}}
{{- range $map := .maps -}}
{{- if hasKey $map $.name -}}{{- $value = get $map $.name -}}{{- end -}}
{{- end -}}
{{ include "order-lifecycle.seconds" $value }}
{{- end }}
