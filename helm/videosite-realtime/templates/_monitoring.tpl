{{/* A file of rules or a dashboard, with links that lead to the runbook where one's own people read it. Takes {root, path}. */}}
{{- define "vsrt.monitoringFile" -}}
{{- .root.Files.Get .path | replace "https://example.com/videosite-realtime/docs/alerts.md" .root.Values.metrics.runbookUrl -}}
{{- end -}}
