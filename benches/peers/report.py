def markdown(data, plot): return ""
