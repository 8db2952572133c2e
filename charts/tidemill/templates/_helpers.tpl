{{- define "tidemill.labels" -}}
app.kubernetes.io/name: tidemill
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- define "tidemill.env" -}}
- name: TIDEMILL_DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ .Values.secrets.database.name }}, key: {{ .Values.secrets.database.key }}}}
- name: TIDEMILL_QUEUE_URL
  valueFrom: {secretKeyRef: {name: {{ .Values.secrets.queue.name }}, key: {{ .Values.secrets.queue.key }}}}
{{- range $variable, $at := .Values.secrets.env }}
- name: {{ $variable }}
  valueFrom: {secretKeyRef: {name: {{ $at.name }}, key: {{ $at.key }}}}
{{- end }}
{{- end }}
