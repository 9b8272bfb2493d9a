{{/* Settings that both services read, without secrets. */}}
{{- define "vsrt.commonSettings" -}}
REDIS_URL: {{ .Values.redis.url | quote }}
REDIS_PREFIX: {{ .Values.redis.prefix | quote }}
{{- with .Values.redis.username }}
REDIS_USERNAME: {{ . | quote }}
{{- end }}
{{- if eq .Values.redis.mode "sentinel" }}
REDIS_SENTINELS: {{ join "," .Values.redis.sentinel.hosts | quote }}
REDIS_SENTINEL_MASTER: {{ .Values.redis.sentinel.master | quote }}
{{- end }}
{{- if eq .Values.redis.mode "cluster" }}
REDIS_CLUSTER_NODES: {{ join "," .Values.redis.cluster.nodes | quote }}
{{- end }}
{{- if .Values.redis.tls.caSecret }}
REDIS_CA_FILE: /etc/redis-ca/{{ .Values.redis.tls.caKey }}
{{- end }}
{{- if .Values.redis.tls.clientSecret }}
REDIS_CERT_FILE: /etc/redis-client/tls.crt
REDIS_KEY_FILE: /etc/redis-client/tls.key
{{- end }}
{{- with include "vsrt.telemetrySettings" . | trim }}
{{ . }}
{{- end }}
{{- with include "vsrt.jwtSettings" . | trim }}
{{ . }}
{{- end }}
{{- if not .Values.database.enabled }}
DATABASE_URL: "off"
{{- end }}
{{- end -}}

{{/* Settings by name, as values give them. Helm reads every number as a float, which from a million on shows as 1e+06. */}}
{{- define "vsrt.furtherSettings" -}}
{{- range $name, $value := merge (deepCopy .settings) (dict "LOG_FORMAT" "json") }}
{{- if and (kindIs "float64" $value) (eq $value (floor $value)) }}
{{- $value = int64 $value }}
{{- end }}
{{ $name }}: {{ $value | toString | quote }}
{{- end }}
{{- end -}}

{{- define "vsrt.jwtSettings" -}}
{{- with .Values.auth.jwt -}}
{{- if eq .type "jwks" -}}
JWT_JWKS_URL: {{ .jwksUrl | quote }}
{{ end -}}
{{- with .algorithm -}}
JWT_ALGORITHM: {{ . | quote }}
{{ end -}}
{{- with .issuer -}}
JWT_ISSUER: {{ . | quote }}
{{ end -}}
{{- with .audience -}}
JWT_AUDIENCE: {{ . | quote }}
{{ end -}}
{{- end -}}
{{- end -}}

{{/* OpenTelemetry's own variables. */}}
{{- define "vsrt.telemetrySettings" -}}
{{- with .Values.telemetry -}}
{{- if .endpoint -}}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ .endpoint | quote }}
{{- if .caSecret }}
OTEL_EXPORTER_OTLP_CERTIFICATE: /etc/otlp-ca/ca.crt
{{- end }}
{{- if .traces.enabled }}
OTEL_TRACES_SAMPLER: {{ .traces.sampler }}
OTEL_TRACES_SAMPLER_ARG: {{ .traces.ratio | toString | quote }}
{{- else }}
OTEL_TRACES_EXPORTER: none
{{- end }}
{{- if .metrics.enabled }}
OTEL_METRIC_EXPORT_INTERVAL: {{ mul .metrics.intervalSeconds 1000 | quote }}
{{- else }}
OTEL_METRICS_EXPORTER: none
{{- end }}
{{- $attributes := list }}
{{- range $name, $value := merge (dict) .resourceAttributes (dict "k8s.namespace.name" $.Release.Namespace) }}
{{- $attributes = append $attributes (printf "%s=%s" $name $value) }}
{{- end }}
OTEL_RESOURCE_ATTRIBUTES: {{ join "," $attributes | quote }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* One setting out of the Secret. Takes {root, name, needed}. */}}
{{- define "vsrt.fromSecret" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ include "vsrt.secretName" .root }}
      key: {{ .name }}
      optional: {{ not .needed }}
{{- end -}}

{{/* Secrets that both services read; those that may not be there are optional. */}}
{{- define "vsrt.commonSecrets" -}}
{{- if eq .Values.auth.jwt.type "secret" }}
{{ include "vsrt.fromSecret" (dict "root" . "name" "JWT_SECRET" "needed" true) }}
{{- else if eq .Values.auth.jwt.type "publicKey" }}
{{ include "vsrt.fromSecret" (dict "root" . "name" "JWT_PUBLIC_KEY" "needed" true) }}
{{- end }}
{{- if .Values.database.enabled }}
{{ include "vsrt.fromSecret" (dict "root" . "name" "DATABASE_URL" "needed" true) }}
{{- end }}
{{ include "vsrt.fromSecret" (dict "root" . "name" "REDIS_PASSWORD" "needed" (ne .Values.redis.username "")) }}
{{- if eq .Values.redis.mode "sentinel" }}
{{ include "vsrt.fromSecret" (dict "root" . "name" "REDIS_SENTINEL_PASSWORD" "needed" false) }}
{{- end }}
{{- if .Values.telemetry.endpoint }}
{{ include "vsrt.fromSecret" (dict "root" . "name" "OTEL_EXPORTER_OTLP_HEADERS" "needed" false) }}
{{- end }}
{{- end -}}

{{- define "vsrt.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "vsrt.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "vsrt.databaseMounts" -}}
{{- if .Values.database.tls.caSecret }}
- name: database-ca
  mountPath: /etc/database-ca
  readOnly: true
{{- end }}
{{- end -}}

{{- define "vsrt.databaseVolumes" -}}
{{- if .Values.database.tls.caSecret }}
- name: database-ca
  secret:
    secretName: {{ .Values.database.tls.caSecret }}
{{- end }}
{{- end -}}

{{/* Our mounts and volumes, and those of one's own. Take {root, values}. */}}
{{- define "vsrt.volumeMounts" -}}
{{- include "vsrt.databaseMounts" .root }}
{{- if .root.Values.redis.tls.caSecret }}
- name: redis-ca
  mountPath: /etc/redis-ca
  readOnly: true
{{- end }}
{{- if .root.Values.redis.tls.clientSecret }}
- name: redis-client
  mountPath: /etc/redis-client
  readOnly: true
{{- end }}
{{- if .root.Values.telemetry.caSecret }}
- name: otlp-ca
  mountPath: /etc/otlp-ca
  readOnly: true
{{- end }}
{{- with .values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "vsrt.volumes" -}}
{{- include "vsrt.databaseVolumes" .root }}
{{- if .root.Values.redis.tls.caSecret }}
- name: redis-ca
  secret:
    secretName: {{ .root.Values.redis.tls.caSecret }}
{{- end }}
{{- if .root.Values.redis.tls.clientSecret }}
- name: redis-client
  secret:
    secretName: {{ .root.Values.redis.tls.clientSecret }}
{{- end }}
{{- if .root.Values.telemetry.caSecret }}
- name: otlp-ca
  secret:
    secretName: {{ .root.Values.telemetry.caSecret }}
{{- end }}
{{- with .values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Which machines pods may run on. Takes a component's values. */}}
{{- define "vsrt.machines" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Where a pod may run, and beside which. Takes {root, component, values}. */}}
{{- define "vsrt.placement" -}}
{{- with .values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  - labelSelector:
      matchLabels:
        {{- include "vsrt.selector" (dict "root" $.root "component" $.component) | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- include "vsrt.machines" .values }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* What makes pods be replaced when their settings or secrets change. Takes {root, component}. */}}
{{- define "vsrt.checksums" -}}
{{- $auth := .root.Values.auth -}}
checksum/config: {{ include (printf "%s/%s/configmap.yaml" .root.Template.BasePath .component) .root | sha256sum }}
{{- if $auth.existingSecret }}
checksum/secret: {{ printf "%s/%s" $auth.existingSecret $auth.existingSecretRevision | sha256sum }}
{{- else }}
checksum/secret: {{ include (print .root.Template.BasePath "/secret.yaml") .root | sha256sum }}
{{- end }}
{{- end -}}

{{/* Up at once; down one at a time, and only when it lasts. Takes the values of an autoscaler. */}}
{{- define "vsrt.scalingBehavior" -}}
scaleUp:
  stabilizationWindowSeconds: 0
  policies:
    - {type: Percent, value: 100, periodSeconds: 60}
    - {type: Pods, value: 4, periodSeconds: 60}
  selectPolicy: Max
scaleDown:
  stabilizationWindowSeconds: {{ .scaleDownWindowSeconds }}
  policies:
    - {type: Pods, value: 1, periodSeconds: 60}
{{- end -}}
