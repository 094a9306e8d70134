{{- define "kcs.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* The release's name if it contains the chart's, else both. At most 63 characters: it is a Service's name too. */ -}}
{{- define "kcs.fullname" -}}
{{- $name := include "kcs.name" . -}}
{{- $both := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- .Values.fullnameOverride | default $both | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* Cluster-wide objects carry the namespace, so that releases of one name in two namespaces do not meet. */ -}}
{{- define "kcs.clusterName" -}}
{{- printf "%s:%s" (include "kcs.fullname" .) .Release.Namespace -}}
{{- end -}}

{{- define "kcs.serviceAccountName" -}}
{{- $own := include "kcs.fullname" . -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary $own "default") -}}
{{- end -}}

{{- define "kcs.leaseName" -}}
{{- .Values.leaderElection.leaseName | default (include "kcs.fullname" .) -}}
{{- end -}}

{{- define "kcs.image" -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}

{{- define "kcs.selectorLabels" -}}
app.kubernetes.io/name: {{ include "kcs.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "kcs.labels" -}}
{{ include "kcs.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- /* All that the operator may do. deploy/rbac.yaml has the same rules; a test compares them. */ -}}
{{- define "kcs.rules" -}}
- apiGroups: [kafka-consumer-scaler.dev]
  resources: [kafkaconsumerscalers]
  verbs: [get, list, watch{{ if .Values.producerQuotas.enabled }}, patch{{ end }}]
- apiGroups: [kafka-consumer-scaler.dev]
  resources: [kafkaconsumerscalers/status]
  verbs: [patch]
- apiGroups: [kafka-consumer-scaler.dev]
  resources: [kafkaconnections]
  verbs: [get]
{{- if not .Values.watchNamespaces }}
- apiGroups: [kafka-consumer-scaler.dev]
  resources: [clusterkafkaconnections]
  verbs: [get]
{{- end }}
{{- range .Values.scaleTargets }}
- apiGroups: [{{ .apiGroup | quote }}]
  resources: [{{ .resource }}/scale]
  verbs: [get, patch]
{{- if $.Values.nameOtherWriters }}
- apiGroups: [{{ .apiGroup | quote }}]
  resources: [{{ .resource }}]
  verbs: [get]
{{- end }}
{{- end }}
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [list]
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{- /* Secrets are read one by one, by name: no list, no watch. */ -}}
{{- define "kcs.secretRules" -}}
- apiGroups: [""]
  resources: [secrets]
  {{- with .Values.secretAccess.names }}
  resourceNames: {{- toYaml . | nindent 4 }}
  {{- end }}
  verbs: [get]
{{- end -}}
