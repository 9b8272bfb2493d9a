{{/* What does not go together in the values of nodes and of routers alike. */}}

{{/* A CPU quantity in thousandths of a core. */}}
{{- define "vsrt.millicores" -}}
{{- $cpu := toString . -}}
{{- if hasSuffix "m" $cpu -}}{{- trimSuffix "m" $cpu -}}{{- else -}}{{- mulf (float64 $cpu) 1000 -}}{{- end -}}
{{- end -}}

{{- define "vsrt.checkNumbers" -}}
{{- range $component := list "node" "router" -}}
  {{- $values := get $.Values $component -}}
  {{- $scaling := $values.autoscaling -}}
  {{- if and $scaling.enabled (gt (int $scaling.minReplicas) (int $scaling.maxReplicas)) -}}
    {{- fail (printf "%s.autoscaling.minReplicas %d is more than %s.autoscaling.maxReplicas %d" $component (int $scaling.minReplicas) $component (int $scaling.maxReplicas)) -}}
  {{- end -}}
  {{- $least := $scaling.enabled | ternary $scaling.minReplicas $values.replicas | int -}}
  {{- $away := $values.podDisruptionBudget.maxUnavailable -}}
  {{- if and $values.podDisruptionBudget.enabled (gt $least 1) (not (kindIs "string" $away)) (ge (int $away) $least) -}}
    {{- fail (printf "%s.podDisruptionBudget.maxUnavailable %d would let all %d pods be away at once: less than there are at least" $component (int $away) $least) -}}
  {{- end -}}
{{- end -}}
{{- $router := .Values.router -}}
{{- if $router.autoscaling.enabled -}}
  {{- $request := dig "requests" "cpu" "" $router.resources -}}
  {{- if not $request -}}
    {{- fail "router.autoscaling goes by CPU in percent of what is asked for, and router.resources.requests.cpu is not set" -}}
  {{- end -}}
  {{- $aim := divf (mulf (float64 (include "vsrt.millicores" $request)) $router.autoscaling.targetCPUUtilizationPercentage) 100 | int -}}
  {{- if gt $aim 950 -}}
    {{- fail (printf "router.autoscaling.targetCPUUtilizationPercentage %d of router.resources.requests.cpu %v is %dm, and a router uses one core at most: no pod would ever be added; at most 950m" (int $router.autoscaling.targetCPUUtilizationPercentage) $request $aim) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- define "vsrt.checkVolumes" -}}
{{- $ours := list "redis-ca" "redis-client" "database-ca" "otlp-ca" -}}
{{- $taken := list "/opt/venv" "/app" "/usr/local" -}}
{{- range $ours -}}{{- $taken = append $taken (printf "/etc/%s" .) -}}{{- end -}}
{{- range $component := list "node" "router" -}}
  {{- $values := get $.Values $component -}}
  {{- $names := list -}}
  {{- range $values.extraVolumes -}}
    {{- if has .name $ours -}}{{- fail (printf "%s.extraVolumes has a volume %s, and the chart has one of that name: choose another" $component .name) -}}{{- end -}}
    {{- if has .name $names -}}{{- fail (printf "%s.extraVolumes has two volumes %s" $component .name) -}}{{- end -}}
    {{- $names = append $names .name -}}
  {{- end -}}
  {{- $mounted := list -}}
  {{- range $values.extraVolumeMounts -}}
    {{- $path := clean .mountPath -}}
    {{- if not (has .name $names) -}}{{- fail (printf "%s.extraVolumeMounts mounts %s at %s, and %s.extraVolumes has no volume of that name" $component .name $path $component) -}}{{- end -}}
    {{- range $taken -}}
      {{- if or (hasPrefix (printf "%s/" (trimSuffix "/" $path)) (printf "%s/" .)) (hasPrefix (printf "%s/" .) (printf "%s/" $path)) -}}
        {{- fail (printf "%s.extraVolumeMounts mounts at %s, where %s is ours: choose a folder of its own" $component $path .) -}}
      {{- end -}}
    {{- end -}}
    {{- if has $path $mounted -}}{{- fail (printf "%s.extraVolumeMounts mounts twice at %s" $component $path) -}}{{- end -}}
    {{- $mounted = append $mounted $path -}}
  {{- end -}}
{{- end -}}
{{- end -}}
