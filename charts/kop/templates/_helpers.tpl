{{- define "kop.fullname" -}}
{{- $name := ternary .Release.Name (printf "%s-kop" .Release.Name) (contains "kop" .Release.Name) -}}
{{- printf "%s-operator" ($name | trunc 54 | trimSuffix "-") -}}
{{- end -}}

{{- define "kop.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "kop.fullname" .) -}}
{{- end -}}

{{- define "kop.selector" -}}
app.kubernetes.io/name: kop-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "kop.labels" -}}
{{ include "kop.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* An image reference: (list root image) */}}
{{- define "kop.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository ($image.tag | default $root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
