{{- define "vsrt.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{/*
The release's name is enough where it says what runs: `realtime`, `videosite-realtime`, `my-videosite-realtime`. At most
52 characters, so that every suffix of ours still makes a name.
*/}}
{{- define "vsrt.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if or (contains (include "vsrt.name" .) .Release.Name) (hasSuffix .Release.Name (include "vsrt.name" .)) -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "vsrt.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "vsrt.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "vsrt.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "vsrt.secretName" -}}
{{- default (include "vsrt.fullname" .) .Values.auth.existingSecret -}}
{{- end -}}

{{/* Takes {root, tag}: a tag of a component's own counts before everything else. */}}
{{- define "vsrt.image" -}}
{{- $image := .root.Values.image -}}
{{- if .tag -}}
{{- printf "%s:%s" $image.repository .tag -}}
{{- else if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default .root.Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{/* What never changes during the life of a release: selectors are made of it. Takes {root, component}. */}}
{{- define "vsrt.selector" -}}
app.kubernetes.io/name: {{ include "vsrt.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Takes {root, component, more}: labels of one's own, of which those in `more` count more than those for everything. */}}
{{- define "vsrt.labels" -}}
{{- $own := merge (dict) (.more | default dict) .root.Values.commonLabels -}}
{{ include "vsrt.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: {{ get $own "app.kubernetes.io/part-of" | default "videosite" | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with omit $own "app.kubernetes.io/part-of" }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels of pods. Takes {root, component, values}. */}}
{{- define "vsrt.podLabels" -}}
{{ include "vsrt.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
{{- with merge (dict) .values.podLabels .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}
