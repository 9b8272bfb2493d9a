{{/*
What does not go together. values.schema.json has seen every value alone; here is what takes two of them.
Every message names the values and what to do.
*/}}
{{- define "vsrt.checks" -}}
{{- if has "latest" (list .Values.image.tag .Values.node.imageTag .Values.router.imageTag) -}}{{- fail "image.tag, node.imageTag or router.imageTag is latest, which says nothing of what runs: name a version, or a digest" -}}{{- end -}}
{{- $full := include "vsrt.fullname" . -}}
{{- if not (regexMatch "^[a-z]([a-z0-9-]*[a-z0-9])?$" $full) -}}
  {{- fail (printf "%s cannot begin the name of a Service, which has a letter first and no dots: set fullnameOverride" $full) -}}
{{- end -}}
{{- range $where, $labels := dict "commonLabels" .Values.commonLabels "node.podLabels" .Values.node.podLabels "router.podLabels" .Values.router.podLabels -}}
  {{- range $name := keys $labels | sortAlpha -}}
    {{- if regexMatch "^(app\\.kubernetes\\.io/(name|instance|component|version|managed-by)|helm\\.sh/chart)$" $name -}}
      {{- fail (printf "%s sets %s, which the chart sets itself: leave it out" $where $name) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $auth := .Values.auth -}}
{{- $jwt := $auth.jwt -}}
{{- if eq $jwt.type "jwks" -}}
  {{- if not $jwt.jwksUrl -}}{{- fail "auth.jwt.type is jwks, and auth.jwt.jwksUrl is empty: set it to where the keys are" -}}{{- end -}}
{{- else if not $auth.existingSecret -}}
  {{- if and (eq $jwt.type "secret") (not $jwt.secret) -}}
    {{- fail "no token could be judged: set auth.jwt.secret (at least 32 bytes), or auth.existingSecret to a Secret with the key JWT_SECRET, or another auth.jwt.type" -}}
  {{- end -}}
  {{- if and (eq $jwt.type "publicKey") (not $jwt.publicKey) -}}
    {{- fail "auth.jwt.type is publicKey: set auth.jwt.publicKey, or auth.existingSecret to a Secret with the key JWT_PUBLIC_KEY" -}}
  {{- end -}}
{{- end -}}
{{- if and $auth.existingSecret (or $jwt.secret $jwt.publicKey $auth.routerApiKeys .Values.redis.password .Values.redis.sentinel.password .Values.database.url .Values.telemetry.headers) -}}
  {{- fail "auth.existingSecret is set, and so is a secret value (auth.jwt.secret, auth.jwt.publicKey, auth.routerApiKeys, redis.password, redis.sentinel.password, database.url or telemetry.headers): all of them belong into that Secret" -}}
{{- end -}}
{{- if and $jwt.secret (ne $jwt.type "secret") -}}{{- fail (printf "auth.jwt.secret is set, and auth.jwt.type is %s: choose one" $jwt.type) -}}{{- end -}}
{{- if and $jwt.publicKey (ne $jwt.type "publicKey") -}}{{- fail (printf "auth.jwt.publicKey is set, and auth.jwt.type is %s: choose one" $jwt.type) -}}{{- end -}}
{{- if and $jwt.algorithm (ne (hasPrefix "HS" $jwt.algorithm) (eq $jwt.type "secret")) -}}
  {{- fail (printf "auth.jwt.algorithm %s does not go with auth.jwt.type %s" $jwt.algorithm $jwt.type) -}}
{{- end -}}

{{- $redis := .Values.redis -}}
{{- if contains "@" $redis.url -}}
  {{- fail "redis.url has a user or a password in it, and it goes into a ConfigMap: use redis.username, and redis.password or the key REDIS_PASSWORD of auth.existingSecret" -}}
{{- end -}}
{{- if and (eq $redis.mode "sentinel") (not $redis.sentinel.hosts) -}}{{- fail "redis.mode is sentinel, and redis.sentinel.hosts is empty: name the Sentinels" -}}{{- end -}}
{{- if and (ne $redis.mode "sentinel") $redis.sentinel.hosts -}}{{- fail (printf "redis.sentinel.hosts is set, and redis.mode is %s: set it to sentinel" $redis.mode) -}}{{- end -}}
{{- if and (eq $redis.mode "cluster") (not $redis.cluster.nodes) -}}{{- fail "redis.mode is cluster, and redis.cluster.nodes is empty: name some of its servers" -}}{{- end -}}
{{- if and (ne $redis.mode "cluster") $redis.cluster.nodes -}}{{- fail (printf "redis.cluster.nodes is set, and redis.mode is %s: set it to cluster" $redis.mode) -}}{{- end -}}
{{- if and (eq $redis.mode "cluster") (not (regexMatch "^rediss?://[^/]+(/0*)?$" $redis.url)) -}}
  {{- fail (printf "redis.mode is cluster, and redis.url %s names another database than 0, the only one of a Redis Cluster" $redis.url) -}}
{{- end -}}
{{- if and (or $redis.tls.caSecret $redis.tls.clientSecret) (not (hasPrefix "rediss://" $redis.url)) -}}
  {{- fail "redis.tls is set, and redis.url does not begin with rediss://: without it there is no TLS" -}}
{{- end -}}
{{- if and $redis.username (not $redis.password) (not $auth.existingSecret) -}}
  {{- fail "redis.username is set without redis.password (or auth.existingSecret with the key REDIS_PASSWORD)" -}}
{{- end -}}

{{- $database := .Values.database -}}
{{- if and $database.enabled (not $database.url) (not $auth.existingSecret) -}}
  {{- fail "database.enabled is true: set database.url, or auth.existingSecret to a Secret with the key DATABASE_URL" -}}
{{- end -}}
{{- if and $database.url (not $database.enabled) -}}{{- fail "database.url is set, and database.enabled is false" -}}{{- end -}}
{{- if and $database.tls.caSecret (not $database.enabled) -}}{{- fail "database.tls is set, and database.enabled is false" -}}{{- end -}}
{{- $port := regexFind ":[0-9]+/[^/@]*$" (splitList "?" $database.url | first) | trimPrefix ":" | splitList "/" | first | default "5432" -}}
{{- if and $database.url (ne $port (toString $database.port)) -}}
  {{- fail (printf "database.url leads to port %s, and database.port is %d: the network policy would let nobody through" $port (int $database.port)) -}}
{{- end -}}

{{- $telemetry := .Values.telemetry -}}
{{- if and (or $telemetry.headers $telemetry.caSecret) (not $telemetry.endpoint) -}}
  {{- fail "telemetry.headers or telemetry.caSecret is set, and telemetry.endpoint is empty: name the collector" -}}
{{- end -}}
{{- if and $telemetry.caSecret (not (hasPrefix "https://" $telemetry.endpoint)) -}}
  {{- fail "telemetry.caSecret is set, and telemetry.endpoint does not begin with https://: without it there is no TLS" -}}
{{- end -}}

{{- $node := .Values.node -}}
{{- $least := add $node.preStopSeconds $node.drainSeconds 10 -}}
{{- if and (ne (toString $node.terminationGracePeriodSeconds) "<nil>") (lt (int $node.terminationGracePeriodSeconds) (int $least)) -}}
  {{- fail (printf "node.terminationGracePeriodSeconds is %d, and a pod would be killed before its clients have left: at least node.preStopSeconds %d + node.drainSeconds %d + 10 = %d, or null" (int $node.terminationGracePeriodSeconds) (int $node.preStopSeconds) (int $node.drainSeconds) (int $least)) -}}
{{- end -}}
{{- if and $node.maxConnections $node.autoscaling.enabled (ge (int $node.autoscaling.targetConnections) (int $node.maxConnections)) -}}
  {{- fail (printf "node.autoscaling.targetConnections %d is not less than node.maxConnections %d: pods would be full before one is added" (int $node.autoscaling.targetConnections) (int $node.maxConnections)) -}}
{{- end -}}

{{- include "vsrt.checkNumbers" . -}}
{{- include "vsrt.checkVolumes" . -}}

{{- if and .Values.metrics.monitor.enabled (eq .Values.metrics.monitor.kind "ServiceMonitor") (ne $node.service.type "ClusterIP") -}}
  {{- fail (printf "metrics.monitor.kind ServiceMonitor would open the management port to wherever node.service.type %s leads: choose PodMonitor" $node.service.type) -}}
{{- end -}}

{{- $metrics := .Values.metrics -}}
{{- $seconds := trimSuffix "s" $metrics.monitor.interval -}}
{{- if and $metrics.rules.enabled $metrics.monitor.enabled (or (hasSuffix "m" $seconds) (gt (int $seconds) 30)) -}}
  {{- fail (printf "metrics.monitor.interval is %s, and the rules (metrics.rules.enabled) look at two minutes: at most 30s" $metrics.monitor.interval) -}}
{{- end -}}
{{- if and $metrics.rules.enabled (not $metrics.monitor.enabled) $telemetry.metrics.enabled (gt (int $telemetry.metrics.intervalSeconds) 30) -}}
  {{- fail (printf "telemetry.metrics.intervalSeconds is %d, and the rules (metrics.rules.enabled) look at two minutes: at most 30" (int $telemetry.metrics.intervalSeconds)) -}}
{{- end -}}

{{- if .Values.ingress.enabled -}}
  {{- if not .Values.ingress.hosts -}}{{- fail "ingress.enabled is true, and ingress.hosts is empty: name the host that browsers use" -}}{{- end -}}
{{- end -}}
{{- if .Values.httpRoute.enabled -}}
  {{- if not .Values.httpRoute.parentRefs -}}{{- fail "httpRoute.enabled is true, and httpRoute.parentRefs is empty: name the Gateway" -}}{{- end -}}
  {{- if not .Values.httpRoute.hostnames -}}{{- fail "httpRoute.enabled is true, and httpRoute.hostnames is empty: name the host that browsers use" -}}{{- end -}}
{{- end -}}
{{- end -}}
