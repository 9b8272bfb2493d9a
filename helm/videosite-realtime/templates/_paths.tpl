{{/*
What browsers may ask for, as JSON: [{type, path}]. Health and metrics are not among it: a node answers them on its
public port too. The page is one file and those it names.
*/}}
{{- define "vsrt.paths" -}}
{{- $paths := list (dict "type" "Prefix" "path" "/api/v1") -}}
{{- if .Values.adminPage -}}
{{- range list "/" "/index.html" "/favicon.svg" -}}
{{- $paths = append $paths (dict "type" "Exact" "path" .) -}}
{{- end -}}
{{- $paths = append $paths (dict "type" "Prefix" "path" "/assets") -}}
{{- end -}}
{{- toJson $paths -}}
{{- end -}}
