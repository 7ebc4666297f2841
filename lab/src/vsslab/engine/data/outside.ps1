# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# What every session of a real engine begins with: see outside_session.py.

# How a bound value travels: what JSON does not tell apart is marked, and secrets leave the engine as text.
function global:ConvertTo-WorldValue { param($v)
  if ($null -eq $v) { return $null }
  $p = $v; if ($v -is [psobject]) { $p = $v.psobject.BaseObject }
  switch ($p) {
    { $_ -is [securestring] } { return @{ '$secret' = [System.Net.NetworkCredential]::new('', $_).Password } }
    { $_ -is [pscredential] } { return @{ '$user' = $_.UserName; '$secret' = $_.GetNetworkCredential().Password } }
    { $_ -is [datetime] } { return @{ '$dt' = $_.ToString('o') } }
    { $_ -is [timespan] } { return @{ '$ts' = $_.ToString('c') } }
    { $_ -is [uint64] } { return @{ '$u64' = "$_" } }
    { $_ -is [long] } { return @{ '$i64' = "$_" } }
    { $_ -is [uint32] } { return @{ '$u32' = "$_" } }
    { $_ -is [uint16] } { return @{ '$u16' = "$_" } }
    { $_ -is [byte] } { return @{ '$u8' = "$_" } }
    { $_ -is [guid] } { return @{ '$guid' = "$_" } }
    { $_ -is [scriptblock] } { return @{ '$script' = "$_" } }
    { $_ -is [byte[]] } { return ,$_ }
    { $_ -is [System.Collections.IDictionary] } {
      $o = @{}; foreach ($k in $_.Keys) { $o["$k"] = ConvertTo-WorldValue $_[$k] }; return @{ '$map' = $o } }
    { $_ -is [array] } {
      $o = [object[]]::new($_.Count); for ($i = 0; $i -lt $_.Count; $i++) { $o[$i] = ConvertTo-WorldValue $_[$i] }
      return ,$o }
  }
  return ,$v
}
function global:ConvertTo-WorldBound { param($bound)
  $b = @{}
  foreach ($k in $bound.Keys) { if ($k -notin $global:WorldCommon) { $b[$k] = ConvertTo-WorldValue $bound[$k] } }
  if ($bound.ContainsKey('ErrorAction')) { $b['$action'] = "$($bound['ErrorAction'])" }
  return $b
}

# The enumerations among an object's properties travel beside them, and are made again for the next command of a
# pipeline: of the engine's own type where it has that value. The client gets their texts, as Windows tells those of an
# object that is sent whole: there they are properties of its class, here notes, which would keep their numbers.
$global:WorldEnums = @{}
function global:Restore-WorldEnum { param($o, $sent)
  $told = $o.psobject.Properties['$enums']
  if ($null -eq $told) { return }
  $o.psobject.Properties.Remove('$enums')
  if ($sent) { return }
  foreach ($each in $told.Value) {
    $name, $type, $number, $text = $each.Split('|', 4)
    $kind = $global:WorldEnums["$type|$text"]
    if ($null -eq $kind) {
      $kind = $type -as [type]  # it may also be one that was made here, of another value
      if ($null -eq $kind -or "$([System.Enum]::ToObject($kind, [int]$number))" -cne $text) {
        $called = [System.Reflection.AssemblyName]::new("world$($global:WorldEnums.Count)")
        $made = [System.Reflection.Emit.AssemblyBuilder]::DefineDynamicAssembly($called, 'Run').DefineDynamicModule('enums')
        $built = $made.DefineEnum($type, 'Public', [int])
        $null = $built.DefineLiteral($text, [int]$number)
        $kind = $built.CreateType()
      }
      $global:WorldEnums["$type|$text"] = $kind
    }
    $o.psobject.Properties[$name].Value = [System.Enum]::ToObject($kind, [int]$number)
  }
}

# One answer of the world is read to its end before anything of it goes down the pipe, where other commands ask too;
# when the reading was broken off, the rest is read before anything else is asked.
function global:Send-World { param($caller, $name, $bound)
  $got = [System.Collections.Generic.List[object]]::new(); $end = $null; $read = $false
  $last = $caller.MyInvocation.PipelinePosition -eq $caller.MyInvocation.PipelineLength
  try {
    Invoke-World -Name $name -Bound $bound -ErrorAction Continue 2>&1 |
      Microsoft.PowerShell.Core\ForEach-Object -Process { $got.Add($_) }
    $read = $true
  } catch { $end = $_ } finally {
    if (-not $read) { try { $null = Invoke-World -Name '$drain' -ErrorAction SilentlyContinue } catch { } }
  }
  foreach ($o in $got) {
    if ($o -is [System.Management.Automation.ErrorRecord]) { $caller.WriteError($o); continue }
    # A plain value is not asked for properties: it would be marked by that, and be sent as an object.
    if ($null -ne $o -and $o -isnot [valuetype] -and $o -isnot [string] -and $o -isnot [array]) {
      Restore-WorldEnum $o $last }
    $caller.WriteObject($o, $false)
  }
  if ($null -ne $end) { $caller.ThrowTerminatingError($end) }
}

# A command of the engine's own whose parameters a role bounds: made as PowerShell makes it of a role capability file
# (InitialSessionState.ProcessCommandModifications).
function global:Add-WorldProxy { param($name, $bounds)
  $real = $ExecutionContext.InvokeCommand.GetCommand($name, 'Cmdlet')
  $made = [System.Management.Automation.CommandMetadata]::new($real)
  foreach ($p in @($made.Parameters.Keys)) {
    if (-not $bounds.ContainsKey($p)) { $null = $made.Parameters.Remove($p); continue }
    $values, $pattern = $bounds[$p]
    if ($values) { $made.Parameters[$p].Attributes.Add([ValidateSet]::new([string[]]$values)) }
    if ($pattern) { $made.Parameters[$p].Attributes.Add([ValidatePattern]::new($pattern)) }
  }
  $body = [System.Management.Automation.ProxyCommand]::Create($made, '', $false)
  . ([scriptblock]::Create("function global:$name { $body }"))
}

# Select-Object of the engine's folder takes names only; Windows' also takes @{Name = ...; Expression = 'another name'}.
function global:Select-WorldObject { [CmdletBinding(PositionalBinding=$false)]
  param([Parameter(Position=0)][object[]]$Property, [Parameter(ValueFromPipeline=$true)][psobject]$InputObject,
    [string]$ExpandProperty, [switch]$Unique, [int]$First, [int]$Last, [int]$Skip, [int[]]$Index)
  begin { $items = [System.Collections.Generic.List[psobject]]::new()  # of objects a deserialized value lost its types
    $asked = @{}; foreach ($k in $PSBoundParameters.Keys) { if ($k -ne 'InputObject') { $asked[$k] = $PSBoundParameters[$k] } } }
  process { if ($PSBoundParameters.ContainsKey('InputObject')) { $items.Add($InputObject) } }
  end {
    $named = [System.Collections.Generic.List[object]]::new()
    $given = @{}
    foreach ($p in $Property) {
      $p = if ($p -is [psobject]) { $p.psobject.BaseObject } else { $p }
      if ($p -isnot [System.Collections.IDictionary]) { $named.Add($p); continue }
      $as, $from = $p['Name'], $p['Expression']
      if ($p.Count -ne 2 -or $as -isnot [string] -or $from -isnot [string]) {
        throw 'vsslab does not simulate a calculated property other than @{Name = text; Expression = text}.' }
      $given[$as] = $from; $named.Add($as)
    }
    if ($given.Count -gt 0) {
      $asked['Property'] = $named.ToArray()
      for ($i = 0; $i -lt $items.Count; $i++) {
        $old = $items[$i]; $new = [psobject]::new(); $new.psobject.TypeNames.Clear()
        foreach ($t in $old.psobject.TypeNames) { $new.psobject.TypeNames.Add($t) }
        foreach ($q in $old.psobject.Properties) {
          if (-not $given.ContainsKey($q.Name)) { $new.psobject.Properties.Add([psnoteproperty]::new($q.Name, $q.Value)) } }
        foreach ($as in $given.Keys) {
          $new.psobject.Properties.Add([psnoteproperty]::new($as, $old.psobject.Properties[$given[$as]].Value)) }
        $items[$i] = $new
      }
    }
    $items | psengine\Select-Object @asked
  }
}
