{{- define "zenith.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "zenith.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "zenith.labels" -}}
{{ include "zenith.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "zenith.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (ternary (include "zenith.name" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{- define "zenith.container" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
env:
  - { name: ZENITH_STATE, value: /var/lib/zenith/state.sqlite }
  - { name: ZENITH_MEMORY, value: {{ .Values.memory | quote }} }
  - { name: ZENITH_LOG, value: {{ .Values.log | quote }} }
  {{- with .Values.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
volumeMounts:
  - { name: state, mountPath: /var/lib/zenith }
  - { name: config, mountPath: /etc/zenith, readOnly: true }
  - { name: tokens, mountPath: /etc/zenith-tokens, readOnly: true }
  {{- with .Values.volumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
